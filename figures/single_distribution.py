"""Networks trained on one distribution alone, against the exact predictor for it, by position."""

import sys

from figure import ERROR, NAMES, main

from implicit_inference.show.drawing import Figure, counts
from implicit_inference.study.panels import band, finished
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    table = table.reduced()
    figure = Figure(figsize=(9, 3.8))
    for axes, family in zip(figure.subplots(1, 2), ("gaussian", "discrete"), strict=True):
        for name in ("ridge", "discrete_posterior", "network"):
            results = table.where(family=family, predictor=name).given("position")
            band(axes, NAMES.look(name), results.column("position"), results)
        title = f"{family.capitalize()} tasks alone, in training and here"
        axes.set(title=title, ylabel=ERROR, ylim=(0, None))
        counts(axes.xaxis, "exemplars in context")
    return finished(figure, "One task distribution alone: the network against exact Bayes", table)


if __name__ == "__main__":
    sys.exit(main("single_distribution", draw))
