"""Recovery against the label scale for each mixture, with the losses and the controls beneath."""

import sys

from figure import ERROR, NAMES, main

from implicit_inference.show.drawing import Figure, undefined
from implicit_inference.show.notation import ORANGE, SKY, Look
from implicit_inference.study.panels import band, finished, zero
from implicit_inference.study.results import Results

CURVES = {
    ("recovered", "early"): Look("recovered, early", SKY, marker="o"),
    ("net_of_pretrained", "early"): Look("net of the pretrained, early", SKY, "--"),
    ("recovered", "late"): Look("recovered, late", ORANGE, marker="o"),
    ("net_of_pretrained", "late"): Look("net of the pretrained, late", ORANGE, "--"),
}


def draw(table: Results) -> Figure:
    table = table.reduced()
    alphas = table.levels("pretrain.discrete_prob")
    figure = Figure(figsize=(3.6 * len(alphas), 6.6))
    grid = figure.subplots(2, len(alphas), sharex=True, sharey="row", squeeze=False)
    for (top, bottom), alpha in zip(grid.T, alphas, strict=True):
        part = table.where(pretrain__discrete_prob=alpha)
        for (quantity, where), look in CURVES.items():
            results = part.where(quantity=quantity, range=where)
            band(top, look, results.column("strength"), results)
        zero(top, 0.0, 1.0)
        undefined(top, "no significant forgetting")
        top.set(title=f"α = {alpha:g}", ylim=(-1.0, 1.5))
        for name in ("pretrained", "finetuned", "scratch"):
            results = part.where(quantity="loss", predictor=name, range="early")
            band(bottom, NAMES.look(name), results.column("strength"), results)
        ridge = part.where(quantity="loss", predictor="ridge", range="early").column("mean")[0]
        bottom.axhline(ridge, color=NAMES.look("ridge").colour, linestyle=":", label="ridge")
        bottom.set(xlabel="label scale γ", xscale="log", ylim=(0, None))
        scales = sorted(results.column("strength"))
        bottom.set_xticks(scales, [f"{g:g}" for g in scales])
        bottom.minorticks_off()
    grid[0, 0].set_ylabel("recovered fraction")
    grid[1, 0].set_ylabel(f"{ERROR}, early")
    return finished(figure, "Label scaling on Gaussian prompts", table)


if __name__ == "__main__":
    sys.exit(main("conjugation", draw))
