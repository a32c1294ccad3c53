"""Recovery against the label scale for each mixture, with the losses and the controls beneath."""

import sys

from figure import ERROR, ORANGE, SKY, Figure, Look, Table, band, finished, main, zero

from implicit_inference.show.drawing import undefined
from implicit_inference.show.notation import LOOKS

CURVES = {
    ("recovered", "early"): Look("recovered, early", SKY, marker="o"),
    ("net_of_pretrained", "early"): Look("net of the pretrained, early", SKY, "--"),
    ("recovered", "late"): Look("recovered, late", ORANGE, marker="o"),
    ("net_of_pretrained", "late"): Look("net of the pretrained, late", ORANGE, "--"),
}


def draw(table: Table) -> Figure:
    alphas = table.levels("pretrain.discrete_prob")
    figure = Figure(figsize=(3.6 * len(alphas), 6.6))
    grid = figure.subplots(2, len(alphas), sharex=True, sharey="row", squeeze=False)
    for (top, bottom), alpha in zip(grid.T, alphas, strict=True):
        own = table.where(pretrain__discrete_prob=alpha)
        for (quantity, where), look in CURVES.items():
            rows = own.where(quantity=quantity, where=where)
            band(top, look, rows.column("gamma"), rows)
        zero(top, 0.0, 1.0)
        undefined(top, "no significant forgetting")
        top.set(title=f"α = {alpha:g}", ylim=(-1.0, 1.5))
        for name in ("pretrained", "finetuned", "scratch"):
            rows = own.where(quantity="loss", predictor=name, where="early")
            band(bottom, LOOKS[name], rows.column("gamma"), rows)
        ridge = own.where(quantity="loss", predictor="ridge", where="early").column("mean")[0]
        bottom.axhline(ridge, color=LOOKS["ridge"].colour, linestyle=":", label="ridge")
        bottom.set(xlabel="label scale γ", xscale="log", ylim=(0, None))
        scales = sorted(rows.column("gamma"))
        bottom.set_xticks(scales, [f"{g:g}" for g in scales])
        bottom.minorticks_off()
    grid[0, 0].set_ylabel("recovered fraction")
    grid[1, 0].set_ylabel(f"{ERROR}, early")
    return finished(figure, "Label scaling on Gaussian prompts", table)


if __name__ == "__main__":
    sys.exit(main("conjugation", draw))
