"""Discrete sets of several sizes."""

import sys

from figure import main
from headlines import draw_headlines

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    variants = [(f"n = {labels['tasks.n_discrete']}", results) for labels, results in table.groups("tasks.n_discrete")]
    return draw_headlines(table, variants, "Number of tasks in the discrete set")


if __name__ == "__main__":
    sys.exit(main("task_diversity", draw))
