"""The main picture of a ladder of worlds: what comes back beside the null, the gate, where the forgetting lies."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from figure import NAMES

from implicit_inference.bayes.attribution import CONSTANT_PULL
from implicit_inference.measure.formulas import Estimate
from implicit_inference.show.drawing import Axes, Figure, estimates
from implicit_inference.show.notation import BLACK, GREEN, ORANGE, RANGES, RED, SKY, Look
from implicit_inference.study.panels import categories, finished, zero
from implicit_inference.study.probed import MEASURED, gate_closed, net
from implicit_inference.study.results import Results

Variants = Sequence[tuple[str, Results]]
Case = tuple[str, float | None]
SCALED: dict[str, Case] = {"labels × 2": ("label_scale", 2.0), "chosen rotations": ("choice", None)}
TRANSLATED: dict[str, Case] = {"translated": ("translation", 2.0), "chosen permutations": ("choice", None)}
SPOKEN = {"": Look("in English", BLACK, marker="o"), "_elsewhere": Look("in the second language", SKY, "--", "o")}
"""Ending of a family's name -> how its losses are drawn"""
LOWEST = -1.5


def draw_ladder(table: Results, variants: Variants, title: str, label: str) -> Figure:
    """Early positions above, late below; `variants` are (name, rows a seed), `label` says what they vary."""
    figure = Figure(figsize=(12, 7))
    for row, where in zip(figure.subplots(2, 3), ("early", "late"), strict=True):
        for axes, case in zip(row, SCALED.values(), strict=False):
            recovered(axes, variants, where, case)
        parts(row[2], variants, where)
        row[0].set_ylabel(f"net recovery, {RANGES[where]}")
    for axes in figure.axes[3:]:
        axes.set_xlabel(label)
    for axes, name in zip(figure.axes, (*SCALED, "rise of the distance to the exact predictor"), strict=False):
        axes.set_title(name)
    return finished(figure, f"{title} (net recovery above {LOWEST:g} is shown)", table)


def draw_languages(table: Results, variants: Variants, title: str, label: str) -> Figure:
    """Draws how losses have changed in either language, then what translation and permutations bring back."""
    figure = Figure(figsize=(15, 7))
    for row, where in zip(figure.subplots(2, 4), ("early", "late"), strict=True):
        for axes, family in zip(row, ("known", "fresh"), strict=False):
            places = categories(axes, [name for name, _ in variants])
            for suffix, look in SPOKEN.items():
                found = [part.estimate(quantity="change", range=where, family=family + suffix) for _, part in variants]
                line(axes, look, places, found)
            zero(axes)
        for axes, case in zip(row[2:], TRANSLATED.values(), strict=True):
            recovered(axes, variants, where, case)
        row[0].set_ylabel(f"change of the loss, {RANGES[where]}")
        row[2].set_ylabel("net recovery")
    for axes in figure.axes[4:]:
        axes.set_xlabel(label)
    for axes, name in zip(figure.axes, ("known tables", "fresh tables", *TRANSLATED), strict=False):
        axes.set_title(name)
    return finished(figure, f"{title} (net recovery above {LOWEST:g} is shown)", table)


def recovered(axes: Axes, variants: Variants, where: str, case: tuple[str, float | None]) -> None:
    """Net recovery as measured, by the null and by two accounts, and the share of the gates' gap that is closed."""
    places = categories(axes, [name for name, _ in variants])
    for name in (CONSTANT_PULL, "prior_shift", "prior_and_weight", "scratch"):
        line(axes, NAMES.look(name), places, [net(part, where, name, case) for _, part in variants])
    closed = [gate_closed(part, where, case) for _, part in variants]
    line(axes, Look("gap of the gates closed", GREEN, marker="s"), places, closed)
    measured = [net(part, where, MEASURED, case) for _, part in variants]
    line(axes, Look("measured", RED, marker="o"), places, measured)
    zero(axes, 0.0, 1.0)
    axes.set_ylim(LOWEST, 1.25)


def parts(axes: Axes, variants: Variants, where: str) -> None:
    """The forgetting, on the line between the exact predictors and off it."""
    places = categories(axes, [name for name, _ in variants])
    looks = {"on_line": Look("on the line", SKY, "--", "o"), "off_line": Look("off the line", ORANGE, "-.", "o")}
    for quantity, look in looks.items():
        part = [results.estimate(quantity=quantity, range=where, predictor=MEASURED) for _, results in variants]
        line(axes, look, places, part)
    rise = [results.estimate(quantity="forgetting", range=where) for _, results in variants]
    line(axes, Look("forgetting", BLACK, marker="o"), places, rise)
    zero(axes)


def line(axes: Axes, look: Look, places: np.ndarray, found: Sequence[Estimate]) -> None:
    """Estimates with their bands, one for each variant."""
    estimates(axes, replace(look, marker=look.marker or "."), places, found)
