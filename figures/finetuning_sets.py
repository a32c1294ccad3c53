"""Fine-tuning on the discrete set, another one, a part of it, a narrow Gaussian."""

import sys

from figure import main
from headlines import draw_headlines

from implicit_inference.show.drawing import Figure
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    table = table.reduced()
    names = {("discrete", 0): "the discrete set", ("other", 0): "another set", ("narrow", 0): "narrow Gaussian"}
    variants = [
        (names.get(tuple(labels.values()), f"{labels['finetune.n_tasks']} of its tasks"), results)
        for labels, results in table.groups("finetune.tasks", "finetune.n_tasks")
    ]
    return draw_headlines(table, variants, "Which fine-tuning sets make the network forget?")


if __name__ == "__main__":
    sys.exit(main("finetuning_sets", draw))
