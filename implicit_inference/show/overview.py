"""Several probes beside each other in one picture, from their summaries."""

from typing import Any

import numpy as np

from implicit_inference.show.drawing import Axes, Figure, legend_below, rendered, style, undefined
from implicit_inference.show.notation import BLACK, BLUE, GREY, ORANGE, RED, SKY, Look

MOST_LETTERS = 60
"""Letters of a run's name beside its row; longer names would leave no place for the panels."""


def comparison(names: list[str], summaries: list[dict[str, Any]]) -> bytes:
    """Several probes beside each other, as SVG: the forgetting and its parts, the recovery, the effective priors."""
    with style():
        figure = Figure(figsize=(11.5, 1.9 + 0.45 * len(names)))
        panels = figure.subplots(1, 3, sharey=True)
        _dots(
            panels[0],
            "early, prompts of the forgotten family",
            "rise of the distance to its exact predictor",
            {
                Look("forgetting", BLACK): [s["attribution"]["early"]["forgetting"] for s in summaries],
                Look("on the line", SKY): [s["attribution"]["early"]["on_line"] for s in summaries],
                Look("off the line", ORANGE): [s["attribution"]["early"]["off_line"] for s in summaries],
            },
        )
        _dots(
            panels[1],
            "early, the chosen strength",
            "net recovered fraction",
            {
                Look("measured", RED): [s["recovery"]["early"]["net_of_pretrained"] for s in summaries],
                Look("null: constant pull", GREY): [s["recovery"]["early"]["net_by_null"] for s in summaries],
            },
        )
        _dots(
            panels[2],
            "both families, median over seeds",
            "effective prior, log odds",
            {
                look: [list(s["effective_prior"].values())[i]["logit"] for s in summaries]
                for i, look in enumerate((Look("before", BLUE), Look("after", RED)))
            },
        )
        fit = max(map(len, names)) <= MOST_LETTERS
        panels[0].set_yticks(range(len(names)), names if fit else [name.split(":")[0] for name in names])
        panels[0].set_ylim(len(names) - 0.5, -0.5)
        legend_below(figure)
        several = any(summary["forgetting"]["stderr"] is not None for summary in summaries)
        bars = "; bars: ± 1 standard error over seeds" if several else ""
        figure.suptitle(f"Runs side by side{bars}", x=0.01, ha="left")
        return rendered(figure, "svg")


def _dots(axes: Axes, title: str, xlabel: str, columns: dict[Look, list[dict[str, Any]]]) -> None:
    """A row for each run, a dot with its standard error for each column; undefined ones are left out."""
    for offset, (look, values) in zip(np.linspace(-0.15, 0.15, len(columns)), columns.items(), strict=True):
        found = [
            (y, v.get("median", v["mean"]), 0.0 if "median" in v else v["stderr"] or 0.0)
            for y, v in enumerate(values)
            if v["mean"] is not None
        ]
        if found:
            y, mean, stderr = (np.array(part) for part in zip(*found, strict=True))
            axes.errorbar(mean, y + offset, xerr=stderr, fmt="o", color=look.colour, label=look.label)
    undefined(axes, "in every run")
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set(title=title, xlabel=xlabel)
