"""Recovery in translation, against steps of instruction tuning."""

import sys

from figure import main
from ladder import TRANSLATED, draw_ladder

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    variants = [(str(labels["finetune.steps"]), results) for labels, results in table.groups("finetune.steps")]
    return draw_ladder(table, variants, "What comes back, by dose", "steps of instruction tuning", TRANSLATED)


if __name__ == "__main__":
    sys.exit(main("language_dose", draw))
