"""Changes of the losses against the number of fine-tuning prompts seen, for several batch sizes."""

import sys

from figure import main

from implicit_inference.show.drawing import Figure, counts
from implicit_inference.show.notation import Look
from implicit_inference.study.panels import COLOURS, band, finished, zero
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    table = table.reduced()
    figure = Figure(figsize=(10, 7))
    for row, family in zip(figure.subplots(2, 2, sharey="row"), ("gaussian", "discrete"), strict=True):
        for axes, column, name in zip(row, ("shown", "step"), ("prompts seen", "steps"), strict=True):
            for (labels, results), colour in zip(table.groups("finetune.batch"), COLOURS, strict=False):
                chosen = results.where(family=family)
                band(axes, Look(f"batches of {labels['finetune.batch']}", colour), chosen.column(column), chosen)
            axes.set_title(f"{family.capitalize()} prompts")
            counts(axes.xaxis, f"fine-tuning {name}")
            zero(axes)
            if column == "shown":
                axes.set_ylabel("change of the loss")
                axes.set_xscale("symlog", linthresh=100)
                axes.set_xlim(left=0)
    return finished(figure, "How much fine-tuning does it take? All positions together", table)


if __name__ == "__main__":
    sys.exit(main("finetuning_prompts", draw))
