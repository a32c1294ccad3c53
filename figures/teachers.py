"""Students of five teachers, in worlds of two networks: what they gain and forget, world by world."""

import sys

import numpy as np
from figure import main

from implicit_inference.config.errors import counted
from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLUE, GREY
from implicit_inference.study.panels import categories, zero
from implicit_inference.study.results import Results

TEACHERS = {
    "finetuned": "its own\nnetwork",
    "stranger": "a stranger",
    "account": "an account\nof its network",
    "bayes": "exact Bayes",
    "truth": "true labels\n(control)",
}
QUANTITIES = {"gain": "gain on the discrete set", "forgetting": "forgetting on Gaussian prompts"}


def draw(table: Results) -> Figure:
    """A column for each quantity, early above, late below; a thin line joins one world's students."""
    figure = Figure(figsize=(11, 6.4))
    for row, where in zip(figure.subplots(2, len(QUANTITIES)), ("early", "late"), strict=True):
        for axes, (quantity, name) in zip(row, QUANTITIES.items(), strict=True):
            part = table.where(quantity=quantity, range=where)
            seeds, worlds = np.array(sorted(part.levels("seed"))), int(part.levels("worlds")[0])
            values = np.stack([part.where(lesson__teacher=teacher).values() for teacher in TEACHERS])
            means = np.stack([values[:, seeds % worlds == world].mean(axis=1) for world in np.unique(seeds % worlds)])
            places = categories(axes, list(TEACHERS.values()))
            axes.plot(places, means.T, "-", color=GREY, linewidth=0.7, marker=".")
            axes.plot(places, means.mean(axis=0), "D", color=BLUE)
            zero(axes)
            axes.set_ylabel(f"{name},\n{where}")
    for axes in figure.axes[-len(QUANTITIES) :]:
        axes.set_xlabel("teacher")
    numbers = f"{counted(int(table.seeds), 'seed')} × {counted(int(max(table.levels('n'))), 'prompt')}"
    title = f"Students of five teachers, whose answers never show the set\n{numbers}; thin: a world of several seeds; "
    figure.suptitle(title + "diamonds: the mean over worlds", x=0.01, ha="left", fontsize=11)
    return figure


if __name__ == "__main__":
    sys.exit(main("teachers", draw))
