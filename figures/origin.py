"""Where the capability went: the inferred prior and both parts of forgetting as fine-tuning goes on, then recovery."""

import sys

import numpy as np
from figure import NAMES, main

from implicit_inference.show.drawing import Axes, Figure, counts, ranks
from implicit_inference.show.notation import BLUE, GREY, RED, SKY, Look, mean_text
from implicit_inference.study.panels import COLOURS, band, by_seed, finished, zero
from implicit_inference.study.results import Results

PARTS = {
    "forgetting": Look("forgetting", RED),
    "inference_shift": Look("of it: shift of the inferred prior odds", BLUE, "--"),
    "capability_loss": Look("of it: lost capability", SKY, "-."),
}
KINDS = {"measured": ("-", "o"), "predicted": ("--", "")}
LOWEST, HIGHEST = -1.5, 1.5


def draw(table: Results) -> Figure:
    """A column for each mixture; the recovered fractions early and late have a row each."""
    alphas = table.levels("pretrain.discrete_prob")
    figure = Figure(figsize=(3.6 * len(alphas) + 1, 12.5))
    grid = figure.subplots(5, len(alphas), sharey="row", squeeze=False)
    for column, alpha in zip(grid.T, alphas, strict=True):
        part = table.where(pretrain__discrete_prob=alpha)
        odds = part.where(quantity="prior_logit")
        by_seed(
            column[0], Look("inferred prior log odds: median and seeds", GREY, marker="o"), odds.column("step"), odds
        )
        column[0].set(title=f"α = {alpha:g}")
        counts(column[0].xaxis, "fine-tuning step")
        parts(column[1], part.where(range="early"))
        parts(column[2], part.where(range="late"))
        recovery(column[3], part)
        order(column[4], part)
    for axes, label in zip(
        grid[:, 0],
        (
            "log odds, discrete to Gaussian",
            "rise of the loss, early",
            "rise of the loss, late",
            "recovered fraction",
            "predicted rank, 1 the best",
        ),
        strict=True,
    ):
        axes.set_ylabel(label)
    return finished(figure, f"Where the capability went (recovery: {LOWEST:g} to {HIGHEST:g} shown)", table)


def parts(axes: Axes, results: Results) -> None:
    """The forgetting on Gaussian prompts and what it consists of."""
    for quantity, look in PARTS.items():
        chosen = results.where(quantity=quantity)
        band(axes, look, chosen.column("step"), chosen)
    zero(axes)
    counts(axes.xaxis, "fine-tuning step")


def recovery(axes: Axes, results: Results) -> None:
    """Against the label scale, as measured and as predicted from the inferred odds alone."""
    for where, colour in zip(("early", "late"), COLOURS, strict=False):
        for quantity, (line, marker) in KINDS.items():
            scaled = results.where(quantity=quantity, range=where, conjugation="label_scale")
            scaled = Results(scaled.frame[scaled.frame["strength"] > 0])
            look = Look(f"recovered, {where}, {quantity}", colour, line, marker)
            band(axes, look, scaled.column("strength"), scaled)
    zero(axes, 0.0, 1.0)
    axes.set(xlabel="label scale γ", ylim=(LOWEST, HIGHEST))


def order(axes: Axes, results: Results) -> None:
    """Conjugations, from what brings the loss down the most to the least, early: predicted against measured."""
    cases = [labels for labels, _ in results.given("conjugation").groups("conjugation", "strength")]
    returned = {kind: results.where(quantity=f"returned_{kind}", range="early") for kind in KINDS}
    gained = [np.array([part.where(**case).column("mean")[0] for case in cases]) for part in returned.values()]
    ranks(axes, [NAMES.conjugation(*case.values()) for case in cases], -gained[0], -gained[1], GREY)
    tau = results.estimate(quantity="kendall_by_loss", range="early")
    axes.set_title(f"early; Kendall's τ {mean_text(tau.mean, tau.stderr, 2)}", fontsize=9)
    counts(axes.xaxis, "measured rank, 1 the best")
    counts(axes.yaxis, "")


if __name__ == "__main__":
    sys.exit(main("origin", draw))
