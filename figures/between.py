"""Rise of the loss for tasks between a discrete one and a fresh one, world by world."""

import sys

from closeness_in_full import worlds
from figure import main

from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import Look
from implicit_inference.study.panels import COLOURS, band, finished, zero
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    table = table.reduced()
    figure = Figure(figsize=(9, 4.2))
    for axes, where in zip(figure.subplots(1, 2, sharey=True), ("early", "late"), strict=True):
        for (title, results), colour in zip(worlds(table), COLOURS, strict=False):
            chosen = results.where(range=where)
            band(axes, Look(title, colour, marker="o"), 90 * chosen.column("angle"), chosen)
        zero(axes)
        axes.set(title=f"{where} positions", xlabel="angle from a discrete task to a fresh one (degrees)")
        axes.set_xticks([0, 45, 90])
        axes.set_ylabel("rise of the loss")
    return finished(figure, "Fine-tuning between discrete and fresh tasks", table)


if __name__ == "__main__":
    sys.exit(main("closeness", draw, name="between"))
