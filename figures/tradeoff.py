"""The trade-off between the two families of prompts: networks as they train, and exact Bayes under every prior."""

import sys

from figure import ERROR, main

from implicit_inference.show.drawing import Figure, counts
from implicit_inference.show.notation import GREY, Look
from implicit_inference.study.panels import COLOURS, band, finished
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    table = table.reduced()
    figure = Figure(figsize=(12, 4.2))
    plane, *curves = figure.subplots(1, 3)
    alphas = table.levels("pretrain.discrete_prob")
    exact = table.where(predictor="bayes").where(pretrain__discrete_prob=alphas[0])
    gaussian, discrete = (exact.where(family=family) for family in ("gaussian", "discrete"))
    plane.plot(gaussian.column("mean"), discrete.column("mean"), "--", color=GREY, label="exact Bayes, every α")
    for alpha, colour in zip(alphas, COLOURS, strict=False):
        part = table.where(pretrain__discrete_prob=alpha)
        network = {f: part.where(predictor="network", family=f) for f in ("gaussian", "discrete")}
        x, y = (network[f].column("mean") for f in ("gaussian", "discrete"))
        half = len(x) // 2
        plane.plot(x[half:], y[half:], color=colour, alpha=0.4, linewidth=1)
        bayes = {f: part.where(predictor="bayes", prior=alpha, family=f) for f in ("gaussian", "discrete")}
        plane.plot(x[-1], y[-1], "o", color=colour)
        plane.plot(bayes["gaussian"].column("mean"), bayes["discrete"].column("mean"), "D", color=colour, mfc="white")
        for axes, family in zip(curves, ("gaussian", "discrete"), strict=True):
            band(axes, Look(f"network, α = {alpha:g}", colour), network[family].column("step"), network[family])
            axes.axhline(bayes[family].column("mean")[0], color=colour, linestyle="--", linewidth=1)
            axes.set(title=f"{family.capitalize()} prompts", ylabel=ERROR, ylim=(0, None))
            counts(axes.xaxis, "pretraining step")
    plane.plot([], [], "D", color=GREY, mfc="white", label="exact Bayes, the network's α")
    plane.set(title="second half of training; ● its end", xlabel=f"{ERROR}, Gaussian", ylabel=f"{ERROR}, discrete")
    return finished(figure, "What the mixture trades off; dashed: exact Bayes; all positions together", table)


if __name__ == "__main__":
    sys.exit(main("tradeoff", draw))
