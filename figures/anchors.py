"""Shared words: losses by language and what comes back, against the number of anchors."""

import sys

from figure import main
from ladder import draw_languages

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    variants = [(str(labels["prompts.anchors"]), results) for labels, results in table.groups("prompts.anchors")]
    return draw_languages(table, variants, "Shared words: what is forgotten, and what comes back", "anchors")


if __name__ == "__main__":
    sys.exit(main("anchors", draw))
