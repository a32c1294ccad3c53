"""Worlds nearer to the paper's: what labels times 2 and chosen rotations bring back, beside the null."""

import sys

from figure import NAMES, main
from ladder import draw_ladder

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    groups = table.groups(*(name for name in table.frame if "." in name))
    variants = [
        ("\n".join(f"{NAMES.symbol(name)} = {x:g}" for name, x in labels.items()), results)
        for labels, results in groups
    ]
    return draw_ladder(table, variants, "What comes back in worlds nearer to the paper's", "world")


if __name__ == "__main__":
    sys.exit(main("worlds", draw))
