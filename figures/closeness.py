"""Rise of the loss and of the gate in fifths of the Gaussian prompts by closeness, world by world."""

import sys

from drawing import COLOURS, GREY, SYMBOLS, Look, Table, band, finished, main, zero
from matplotlib.figure import Figure

QUANTITIES = {"loss_rise": "rise of the loss", "gate_rise": "rise of the gate"}


def worlds(table: Table) -> list[tuple[str, Table]]:
    """(title, rows) of every world, the base first; a title names what differs from it."""
    names = [name for name in table.rows[0] if name in SYMBOLS]
    found = table.groups(*names)
    base = found[0][0]
    titles = [", ".join(f"{SYMBOLS[n]} = {v:g}" for n, v in labels.items() if v != base[n]) for labels, _ in found]
    titles[0] = ", ".join(f"{SYMBOLS[name]} = {value:g}" for name, value in base.items())
    return [(title, rows) for title, (_, rows) in zip(titles, found, strict=True)]


def draw(table: Table) -> Figure:
    found = worlds(table)
    figure = Figure(figsize=(2.5 * len(found) + 1.5, 5.6))
    grid = figure.subplots(2, len(found), squeeze=False, sharey="row")
    for column, (title, rows) in zip(grid.T, found, strict=True):
        for place, (k, colour) in enumerate(zip(rows.levels("exemplars"), COLOURS, strict=False)):
            here = rows.where(exemplars=k)
            for axes, (quantity, _) in zip(column, QUANTITIES.items(), strict=True):
                for kind, line in (("network", "-"), ("ideal", "--")):
                    label = f"network, {('d / 2', 'd', '2 d')[place]} exemplars"
                    look = Look(label if kind == "network" else "ideal shift of the prior", colour, line)
                    chosen = here.where(quantity=f"{quantity}_{kind}")
                    band(axes, look, chosen.column("bin"), chosen)
        column[0].set_title(title.replace(", pretr", ",\npretr"), fontsize=9)
        for axes in column:
            zero(axes)
            axes.set_xticks([0, 4], ["far", "close"])
    for axes, label in zip(grid[:, 0], QUANTITIES.values(), strict=True):
        axes.set_ylabel(label)
    figure.supxlabel("fifths of the Gaussian prompts by exact log odds at that position", fontsize=9, color=GREY)
    return finished(figure, "Which Gaussian prompts does fine-tuning hurt?", table)


if __name__ == "__main__":
    sys.exit(main("closeness", draw))
