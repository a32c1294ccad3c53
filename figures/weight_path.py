"""The straight path of the weights on both families of prompts, over the front of exact Bayes."""

import sys

from figure import ERROR, main

from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLACK, RANGES, RED
from implicit_inference.study.panels import finished
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    """A column for each mixture, early positions above, late ones below."""
    rungs, table = table.groups("pretrain.discrete_prob"), table
    figure = Figure(figsize=(3.6 * len(rungs) + 1, 6.8))
    grid = figure.subplots(2, len(rungs), squeeze=False)
    for column, (labels, part) in zip(grid.T, rungs, strict=True):
        for axes, where in zip(column, ("early", "late"), strict=True):
            here = part.reduced().where(range=where)
            for name, coordinate, line, colour, label in (
                ("bayes", "prior", "--", BLACK, "exact Bayes, every prior odds"),
                ("network", "t", "-o", RED, "pretrained + t (fine-tuned - pretrained)"),
            ):
                results = here.where(predictor=name).ordered(coordinate)
                x, y = (results.where(family=family).column("mean") for family in ("gaussian", "discrete"))
                axes.plot(x, y, line, color=colour, label=label)
                if name == "network":
                    for t, *at in zip(results.where(family="gaussian").column("t"), x, y, strict=True):
                        if t in (-0.5, 0.0, 1.0):
                            axes.annotate(f"t = {t:g}", at, xytext=(5, 4), textcoords="offset points", fontsize=8)
            axes.set_xlabel(f"{ERROR}, Gaussian prompts", fontsize=8)
        column[0].set_title(f"α = {labels['pretrain.discrete_prob']:g}")
    for axes, where in zip(grid[:, 0], ("early", "late"), strict=True):
        axes.set_ylabel(f"discrete prompts, {RANGES[where]}")
    return finished(figure, "The path of the weights over the exact front", table)


if __name__ == "__main__":
    sys.exit(main("weight_path", draw))
