"""The erasure ladder: relearning of the fine-tuned network beside scratch, damage and a fresh network."""

import sys

from figure import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.show.drawing import Figure, counts, estimates
from implicit_inference.show.notation import GREEN, GREY, PURPLE, RANGES, RED, Look
from implicit_inference.study.panels import finished, zero
from implicit_inference.study.results import Results

LOOKS = {
    "finetuned": Look("fine-tuned", RED, marker="o"),
    "scratch": Look("scratch (fine-tuning tasks only)", PURPLE, marker="o"),
    "damaged_rise": Look("pretrained, damaged at random to the same loss", GREY, "--", "o"),
    "fresh": Look("fresh network", GREEN, ":", "o"),
}


def draw(table: Results) -> Figure:
    """A column for each rung, early positions above, late ones below."""
    rungs = table.groups("finetune.learning_rate", "finetune.steps")
    figure = Figure(figsize=(3.2 * len(rungs) + 1, 6.4))
    grid = figure.subplots(2, len(rungs), sharex=True, sharey=True, squeeze=False)
    for column, (labels, part) in zip(grid.T, rungs, strict=True):
        for axes, where in zip(column, ("early", "late"), strict=True):
            for name, look in LOOKS.items():
                rises = part.where(quantity="relearning", predictor=name, range=where)
                steps = sorted(rises.levels("step"))
                shares = [over_seeds(1 - rises.values(step=step) / rises.values(step=0)) for step in steps]
                estimates(axes, look, steps, shares)
            zero(axes, 0.0, 1.0)
            axes.set_ylim(-0.1, 1.1)
            counts(axes.xaxis, "steps of replay")
        column[0].set_title("rate {:g}, {:g} steps".format(*labels.values()))
    for axes, where in zip(grid[:, 0], ("early", "late"), strict=True):
        axes.set_ylabel(f"share of the rise undone,\n{RANGES[where]}")
    return finished(figure, "Relearning after fine-tuning, ever harder", table)


if __name__ == "__main__":
    sys.exit(main("erasure", draw))
