"""Networks of several sizes."""

import sys

from figure import main
from headlines import draw_headlines

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    table = table.reduced()
    variants = [
        (f"{labels['model.layers']} × {labels['model.width']}", results)
        for labels, results in table.groups("model.layers", "model.width")
    ]
    return draw_headlines(table, variants, "Size of the network (layers × width)")


if __name__ == "__main__":
    sys.exit(main("model_size", draw))
