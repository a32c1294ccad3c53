"""Worlds nearer to the paper's: what labels times 2 and chosen rotations bring back, beside the null."""

import sys

from figure import main
from ladder import draw_ladder

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results

TOLD = {"tasks.dim": "{:g} inputs", "tasks.n_discrete": "{:g} tasks", "pretrain.discrete_prob": "α = {:g}"}
"""What a label tells of its world, where worlds differ in it"""


def draw(table: Results) -> Figure:
    told = {name: text for name, text in TOLD.items() if name in table.frame}
    groups = table.groups(*told)
    variants = [("\n".join(told[name].format(labels[name]) for name in told), rows) for labels, rows in groups]
    return draw_ladder(table, variants, "What comes back in worlds nearer to the paper's", "world")


if __name__ == "__main__":
    sys.exit(main("worlds", draw))
