"""Which ways to fine-tune suppress, and which erase: gain against forgetting, and what label scaling brings back."""

import sys
from dataclasses import replace

import numpy as np
from figure import main

from implicit_inference.show.drawing import Axes, Figure
from implicit_inference.show.notation import BLUE, GREEN, GREY, Look
from implicit_inference.study.panels import COLOURS, finished, zero
from implicit_inference.study.results import Results

LOOKS = [
    *(Look("", colour, marker=marker) for colour, marker in zip(COLOURS, "osD^vPX", strict=True)),
    *(Look("", colour, ":", marker) for colour, marker in zip((GREY, GREEN, BLUE), "<>*", strict=True)),
]
"""Those that train a part, or all, joined by lines; those that are held back, by dots."""
FIELDS = ("adapt.method", "adapt.layers", "finetune.penalty", "finetune.strength", "finetune.learning_rate")


def ways(table: Results) -> dict[str, list[Results]]:
    """name of a way to fine-tune -> its strengths, in the order of the table."""
    found: dict[str, list[Results]] = {}
    for labels, results in table.groups(*FIELDS, "finetune.replay"):
        name = labels["adapt.method"].replace("_", " ")
        if name == "layers":
            name = f"block {labels['adapt.layers'].strip('(),')}"
        if labels["finetune.penalty"] != "none":
            name += f", penalty on {labels['finetune.penalty']}"
        found.setdefault(name + (", replay" if labels["finetune.replay"] else ""), []).append(results)
    return found


def path(axes: Axes, look: Look, across: list[Results], along: list[Results]) -> None:
    """One point for each strength, with bars both ways, joined from the weakest to the strongest."""
    (x, dx), (y, dy) = (
        [np.concatenate([results.column(name) for results in tables]) for name in ("mean", "stderr")]
        for tables in (across, along)
    )
    axes.errorbar(x, y, dy, dx, look.marker + look.line, color=look.colour, label=look.label, markersize=5, linewidth=1)


def draw(table: Results) -> Figure:
    table = table.reduced()
    figure = Figure(figsize=(11, 8.6))
    panels = {
        "forgetting on Gaussian prompts": "forgetting",
        "recovered fraction by labels × 2, net": "net_at",
    }
    grid = figure.subplots(2, 2, sharex="col")
    for column, where in enumerate(("early", "late")):
        for axes, (label, quantity) in zip(grid[:, column], panels.items(), strict=True):
            for (name, strengths), look in zip(ways(table).items(), LOOKS, strict=True):
                gains, found = (
                    [results.where(quantity=q, range=where) for results in strengths] for q in ("gain", quantity)
                )
                path(axes, replace(look, label=name), gains, found)
            zero(axes, *((1.0,) if "fraction" in label else (0.0,)))
            if "fraction" in label:
                axes.set_ylim(0, 1.3)
                axes.set_xlabel(f"gain on the discrete set, {where} positions")
            axes.set_ylabel(f"{label}, {where}")
    return finished(figure, "Ways to fine-tune, from weak to strong: what is gained, forgotten, brought back", table)


if __name__ == "__main__":
    sys.exit(main("methods", draw))
