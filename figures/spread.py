"""Networks that share their tasks: is the spread over seeds that of the tasks, or that of the networks?"""

import sys

import numpy as np
from figure import main

from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLUE, GREY
from implicit_inference.study.results import Results

QUANTITIES = {"gain": "gain", "forgetting": "forgetting", "net": "net recovery, labels × 2"}


def draw(table: Results) -> Figure:
    """A column for each quantity: early above, late below; worlds in the order of their means."""
    figure = Figure(figsize=(12, 6))
    for row, where in zip(figure.subplots(2, len(QUANTITIES)), ("early", "late"), strict=True):
        for axes, (quantity, name) in zip(row, QUANTITIES.items(), strict=True):
            part = table.where(quantity=quantity, range=where)
            homes = part.column("seed") % part.column("worlds")
            worlds = sorted((part.column("mean")[homes == home] for home in np.unique(homes)), key=np.mean)
            for place, values in enumerate(worlds, start=1):
                axes.plot([place] * len(values), values, "o-", color=GREY, linewidth=1, markerfacecolor=BLUE)
            axes.set(ylabel=f"{name}, {where}", xticks=range(1, len(worlds) + 1))
    for axes in figure.axes[-len(QUANTITIES) :]:
        axes.set_xlabel("world, by its mean")
    title = f"Networks that share their tasks\n{table.counts}; a dot is a seed, a line joins those of one world"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


if __name__ == "__main__":
    sys.exit(main("spread", draw))
