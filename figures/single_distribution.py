"""Networks trained on one distribution alone, against the exact predictor for it, by position."""

import sys

from figure import ERROR, Figure, Table, band, finished, main

from implicit_inference.show.drawing import counts
from implicit_inference.show.notation import LOOKS


def draw(table: Table) -> Figure:
    figure = Figure(figsize=(9, 3.8))
    for axes, family in zip(figure.subplots(1, 2), ("gaussian", "discrete"), strict=True):
        for name in ("ridge", "discrete_posterior", "network"):
            rows = Table([r for r in table.where(prompts=family, predictor=name).rows if r["position"] is not None])
            band(axes, LOOKS[name], rows.column("position"), rows)
        title = f"{family.capitalize()} tasks alone, in training and here"
        axes.set(title=title, ylabel=ERROR, ylim=(0, None))
        counts(axes.xaxis, "exemplars in context")
    return finished(figure, "One task distribution alone: the network against exact Bayes", table)


if __name__ == "__main__":
    sys.exit(main("single_distribution", draw))
