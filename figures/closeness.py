"""Rise of the loss and of the gate in fifths of the Gaussian prompts by closeness, in the first world of the table."""

import sys

from closeness_in_full import QUANTITIES, curves, worlds
from figure import main

from implicit_inference.show.drawing import Figure
from implicit_inference.study.panels import finished, zero
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    table = table.reduced()
    title, results = worlds(table)[0]
    figure = Figure(figsize=(9, 3.8))
    panels = figure.subplots(1, 2)
    curves(panels, results)
    for axes, label in zip(panels, QUANTITIES.values(), strict=True):
        zero(axes)
        axes.set(title=label, xlabel="fifths by log odds")
        axes.set_xticks([0, 4], ["far from the set", "close"])
    return finished(figure, f"Which Gaussian prompts does fine-tuning hurt? {title}", table)


if __name__ == "__main__":
    sys.exit(main("closeness", draw))
