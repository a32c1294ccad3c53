"""Networks of several sizes."""

import sys

from figure import Figure, Table, main
from headlines import draw_headlines


def draw(table: Table) -> Figure:
    variants = [
        (f"{labels['model.layers']} × {labels['model.width']}", rows)
        for labels, rows in table.groups("model.layers", "model.width")
    ]
    return draw_headlines(table, variants, "Size of the network (layers × width)")


if __name__ == "__main__":
    sys.exit(main("model_size", draw))
