"""The alpha ladder: what labels times 2 and chosen rotations bring back, beside the null."""

import sys

from figure import main
from ladder import draw_ladder

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    groups = table.groups("pretrain.discrete_prob")
    variants = [(f"{labels['pretrain.discrete_prob']:g}", results) for labels, results in groups]
    return draw_ladder(table, variants, "What comes back, by the share of the discrete set", "α")


if __name__ == "__main__":
    sys.exit(main("origin", draw))
