"""Forgetting in two parts, and the recovery by every conjugation as predicted from the prior odds and as measured."""

import sys

from drawing import BLUE, COLOURS, GREY, RED, SKY, Look, Table, bars, categories, finished, main, zero
from matplotlib.figure import Figure

PARTS = {
    "forgetting": Look("forgetting", RED, marker="o"),
    "inference_shift": Look("of it: shift of the inferred prior odds", BLUE, marker="o"),
    "capability_loss": Look("of it: lost capability", SKY, marker="o"),
}
LOWEST, HIGHEST = -1.5, 1.5


def draw(table: Table) -> Figure:
    figure = Figure(figsize=(10, 7.6))
    grid = figure.subplots(2, 2)
    alphas = table.levels("pretrain.discrete_prob")
    for (top, bottom), where in zip(grid.T, ("early", "late"), strict=True):
        here = table.where(where=where)
        places = categories(top, [f"α = {alpha:g}" for alpha in alphas])
        for offset, (quantity, look) in zip((-0.15, 0.0, 0.15), PARTS.items(), strict=True):
            bars(top, places + offset, here.where(quantity=quantity), look)
        zero(top)
        top.set(title=f"{where} positions", ylabel="rise of the loss on Gaussian prompts")
        for alpha, colour in zip(alphas, COLOURS, strict=False):
            own = here.where(pretrain__discrete_prob=alpha)
            predicted, measured = own.where(quantity="predicted"), own.where(quantity="measured")
            bottom.errorbar(
                predicted.column("mean"),
                measured.column("mean"),
                xerr=predicted.column("stderr"),
                yerr=measured.column("stderr"),
                fmt="o",
                color=colour,
                label=f"conjugations of the network of α = {alpha:g}",
            )
        bottom.plot([LOWEST, HIGHEST], [LOWEST, HIGHEST], color=GREY, linewidth=0.8)
        bottom.set(xlabel="recovered fraction, predicted from the prior odds", ylabel="recovered fraction, measured")
        bottom.set(xlim=(LOWEST, HIGHEST), ylim=(LOWEST, HIGHEST))
    return finished(figure, f"Where the capability went (recovery: {LOWEST:g} to {HIGHEST:g} shown)", table)


if __name__ == "__main__":
    sys.exit(main("origin", draw))
