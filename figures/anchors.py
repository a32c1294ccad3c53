"""Shared words: what comes back, against the number of anchors."""

import sys

from figure import main
from ladder import TRANSLATED, draw_ladder

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    variants = [(str(labels["prompts.anchors"]), results) for labels, results in table.groups("prompts.anchors")]
    return draw_ladder(table, variants, "Shared words: what comes back", "anchors", TRANSLATED)


if __name__ == "__main__":
    sys.exit(main("anchors", draw))
