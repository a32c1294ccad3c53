"""The loss on Gaussian prompts under each conjugation, average and choice, with both controls."""

import sys

import numpy as np
from figure import ERROR, Figure, Table, finished, main

from implicit_inference.show.notation import LOOKS


def draw(table: Table) -> Figure:
    figure = Figure(figsize=(10, 6.5))
    losses = table.where(quantity="loss")
    cases = [labels for labels, _ in losses.groups("way", "conjugation")]
    names = [("" if c["way"] == "single" else f"{c['way']}: ") + c["conjugation"] for c in cases]
    for axes, where in zip(figure.subplots(1, 2, sharey=True), ("early", "late"), strict=True):
        for offset, name in zip((-0.2, 0.0, 0.2), ("pretrained", "finetuned", "scratch"), strict=True):
            here = losses.where(where=where, predictor=name)
            axes.axvline(
                here.where(way="single", conjugation="as it is").column("mean")[0],
                color=LOOKS[name].colour,
                linewidth=0.8,
            )
            axes.errorbar(
                here.column("mean"),
                np.arange(len(cases)) + offset,
                xerr=here.column("stderr"),
                fmt="o",
                color=LOOKS[name].colour,
                label=LOOKS[name].label,
            )
        axes.set(title=f"{where} positions", xlabel=ERROR)
        axes.set_yticks(np.arange(len(cases)), names)
    figure.axes[0].invert_yaxis()
    return finished(figure, "Every way to move a Gaussian prompt; thin lines: as it is", table)


if __name__ == "__main__":
    sys.exit(main("other_conjugations", draw))
