"""The n ladder: what labels times 2 and chosen rotations bring back, beside the null."""

import sys

from figure import main
from ladder import draw_ladder

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    variants = [(f"{labels['tasks.n_discrete']}", results) for labels, results in table.groups("tasks.n_discrete")]
    return draw_ladder(table, variants, "What comes back, by the size of the discrete set", "tasks in the discrete set")


if __name__ == "__main__":
    sys.exit(main("task_diversity", draw))
