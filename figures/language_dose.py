"""Losses by language and recovery in translation, against steps of instruction tuning."""

import sys

from figure import main
from ladder import draw_languages

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    variants = [(str(labels["finetune.steps"]), results) for labels, results in table.groups("finetune.steps")]
    return draw_languages(
        table, variants, "What is forgotten and what comes back, by dose", "steps of instruction tuning"
    )


if __name__ == "__main__":
    sys.exit(main("language_dose", draw))
