"""Students of five teachers, in worlds of two networks: what they gain and forget, world by world."""

import sys

import numpy as np
from figure import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLUE, GREY, Look
from implicit_inference.study.panels import categories, finished, points, zero
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
            homes = np.array(sorted(part.levels("seed"))) % int(part.levels("worlds")[0])
            values = np.stack([part.where(lesson__teacher=teacher).values() for teacher in TEACHERS], axis=1)
            worlds = np.stack([values[homes == home].mean(axis=0) for home in np.unique(homes)])
            places = categories(axes, list(TEACHERS.values()))
            axes.plot(places, worlds.T, "-", color=GREY, linewidth=0.7)
            points(
                axes, places, [over_seeds(column) for column in worlds.T], Look("mean over worlds", BLUE, marker="D")
            )
            zero(axes)
            axes.set_ylabel(f"{name},\n{where}")
    for axes in figure.axes[-len(QUANTITIES) :]:
        axes.set_xlabel("teacher")
    title = "Students of five teachers, who answer prompts that never show the set"
    finished(figure, title, table)
    bars = "thin lines: worlds, means of their seeds; bars: ± 1 standard error over worlds"
    figure.suptitle(f"{title}\n{table.counts}; {bars}", x=0.01, ha="left", fontsize=11)
    return figure


if __name__ == "__main__":
    sys.exit(main("teachers", draw))
