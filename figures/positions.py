"""Recovery by label scaling at every number of exemplars."""

import sys

from figure import main

from implicit_inference.show.drawing import Figure, counts, undefined
from implicit_inference.show.notation import Look
from implicit_inference.study.panels import COLOURS, band, finished, zero
from implicit_inference.study.results import Results

SCALES = (1.5, 2.0, 3.0)


def draw(table: Results) -> Figure:
    table = table.reduced()
    alphas = table.levels("pretrain.discrete_prob")
    figure = Figure(figsize=(3.6 * len(alphas), 3.8))
    for axes, alpha in zip(figure.subplots(1, len(alphas), sharey=True, squeeze=False)[0], alphas, strict=True):
        for gamma, colour in zip(SCALES, COLOURS, strict=False):
            results = table.where(pretrain__discrete_prob=alpha, quantity="recovered", strength=gamma)
            results = results.given("position")
            band(axes, Look(f"γ = {gamma:g}", colour, marker="o"), results.column("position"), results)
        zero(axes, 0.0, 1.0)
        undefined(axes, "no significant forgetting")
        axes.set(title=f"α = {alpha:g}", ylim=(-1.5, 2.0))
        counts(axes.xaxis, "exemplars in context")
    figure.axes[0].set_ylabel("recovered fraction")
    return finished(figure, "Recovery by position (a gap: no significant forgetting there)", table)


if __name__ == "__main__":
    sys.exit(main("conjugation", draw, name="positions"))
