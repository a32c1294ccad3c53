"""Fine-tuning with a fraction of pretraining prompts among its own."""

import sys

from figure import main
from headlines import draw_headlines

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    table = table.reduced()
    variants = [(f"{labels['finetune.replay']:.0%}", results) for labels, results in table.groups("finetune.replay")]
    return draw_headlines(table, variants, "Replaying pretraining prompts in fine-tuning")


if __name__ == "__main__":
    sys.exit(main("replay", draw))
