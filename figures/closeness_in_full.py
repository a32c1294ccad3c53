"""Rise of the loss and of the gate in fifths of the Gaussian prompts by closeness, in every world of the table."""

import sys
from collections.abc import Sequence
from textwrap import fill

from figure import NAMES, main

from implicit_inference.show.drawing import Axes, Figure
from implicit_inference.show.notation import BLACK, Look
from implicit_inference.study.panels import COLOURS, band, finished, zero
from implicit_inference.study.results import Results

QUANTITIES = {"loss_rise": "rise of the loss", "gate_rise": "rise of the gate"}


def worlds(table: Results) -> list[tuple[str, Results]]:
    """(title, rows) of every world, the base first; a title names what differs from it."""
    names = [name for name in table.frame if NAMES.symbol(name) != name]
    found = table.groups(*names)
    base = found[0][0]
    titles = [", ".join(f"{NAMES.symbol(n)} = {v:g}" for n, v in labels.items() if v != base[n]) for labels, _ in found]
    titles[0] = ", ".join(f"{NAMES.symbol(name)} = {value:g}" for name, value in base.items())
    return [(title, results) for title, (_, results) in zip(titles, found, strict=True)]


def curves(panels: Sequence[Axes], results: Results) -> None:
    """Draws one world: a panel for each quantity, a colour for each number of exemplars, the ideal learner dashed."""
    for place, (k, colour) in enumerate(zip(results.levels("position"), COLOURS, strict=False)):
        here = results.where(position=k)
        for axes, quantity in zip(panels, QUANTITIES, strict=True):
            for kind, line in (("network", "-"), ("ideal", "--")):
                label = f"network, {('d / 2', 'd', '2 d')[place]} exemplars"
                look = Look(label if kind == "network" else "", colour, line)
                chosen = here.where(quantity=f"{quantity}_{kind}")
                band(axes, look, chosen.column("bin"), chosen, shade=0.2 if kind == "network" else 0)
    panels[0].plot([], [], "--", color=BLACK, label="ideal learner whose prior shifts (no band)")


def draw(table: Results) -> Figure:
    table = table.reduced()
    found = worlds(table)
    figure = Figure(figsize=(2.3 * len(found) + 2.5, 5.6))
    grid = figure.subplots(2, len(found), squeeze=False)
    for column, (title, results) in zip(grid.T, found, strict=True):
        curves(column, results)
        column[0].set_title(fill(title, 26), fontsize=9)
        column[1].set_xlabel("fifths by log odds", fontsize=9)
        for axes in column:
            zero(axes)
            axes.set_xticks([0, 4], ["far", "close"])
        if column[1] is not grid[1, 0]:
            column[1].sharey(grid[1, 0])
    for axes, label in zip(grid[:, 0], QUANTITIES.values(), strict=True):
        axes.set_ylabel(label)
    title = "Which Gaussian prompts does fine-tuning hurt? By exact log odds"
    return finished(figure, title, table)


if __name__ == "__main__":
    sys.exit(main("closeness", draw, name="closeness_in_full"))
