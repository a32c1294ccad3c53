"""Linear tasks and tasks on a hidden layer of ReLU features."""

import sys

from figure import main
from headlines import draw_headlines

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    table = table.reduced()
    variants = [
        (f"{labels['tasks.relu_features']} ReLU features" if labels["tasks.relu_features"] else "linear", results)
        for labels, results in table.groups("tasks.relu_features")
    ]
    return draw_headlines(table, variants, "Tasks through a feature map")


if __name__ == "__main__":
    sys.exit(main("nonlinear", draw))
