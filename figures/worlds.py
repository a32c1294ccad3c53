"""Worlds nearer to the paper's: what labels times 2 and chosen rotations bring back, beside the null."""

import sys

from figure import main
from ladder import draw_ladder

from implicit_inference.show.drawing import Figure
from implicit_inference.study.probed import by_world
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    return draw_ladder(table, by_world(table, "\n"), "What comes back in worlds nearer to the paper's", "world")


if __name__ == "__main__":
    sys.exit(main("worlds", draw))
