"""The loss on Gaussian prompts under each conjugation, average and choice, with both controls."""

import sys

import numpy as np
from figure import ERROR, NAMES, main

from implicit_inference.show.drawing import Figure
from implicit_inference.study.panels import finished
from implicit_inference.study.results import Results

GROUPS = {
    "label_scales": "label scales 1, 1.5, 2",
    "label_signs": "label signs",
    "rotations": "{:g} rotations",
    "input_flips": "input sign flips",
}
"""Conjugations to average over or to choose among -> their name"""


def label(name: str, strength: float | None) -> str:
    """The name of a conjugation or a group of them, for people."""
    return GROUPS[name].format(strength) if name in GROUPS else NAMES.conjugation(name, strength)


def draw(table: Results) -> Figure:
    table = table.reduced()
    figure = Figure(figsize=(10, 6.5))
    losses = table.where(quantity="loss")
    cases = [labels for labels, _ in losses.groups("way", "conjugation", "strength")]
    names = [("" if c["way"] == "single" else f"{c['way']}: ") + label(c["conjugation"], c["strength"]) for c in cases]
    for axes, where in zip(figure.subplots(1, 2, sharey=True), ("early", "late"), strict=True):
        for offset, name in zip((-0.2, 0.0, 0.2), ("pretrained", "finetuned", "scratch"), strict=True):
            here = losses.where(range=where, predictor=name)
            axes.axvline(
                here.where(way="single", conjugation="identity").column("mean")[0],
                color=NAMES.look(name).colour,
                linewidth=0.8,
            )
            axes.errorbar(
                here.column("mean"),
                np.arange(len(cases)) + offset,
                xerr=here.column("stderr"),
                fmt="o",
                color=NAMES.look(name).colour,
                label=NAMES.look(name).label,
            )
        axes.set(title=f"{where} positions", xlabel=ERROR)
        axes.set_yticks(np.arange(len(cases)), names)
    figure.axes[0].invert_yaxis()
    return finished(figure, "Every way to move a Gaussian prompt; thin lines: as it is", table)


if __name__ == "__main__":
    sys.exit(main("other_conjugations", draw))
