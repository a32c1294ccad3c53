"""Forgetting, recovery and prior log odds by language, against the share of English, with what the odds predict."""

import sys

import numpy as np
from figure import NAMES, main
from ladder import LOWEST, line

from implicit_inference.bayes.attribution import CONSTANT_PULL
from implicit_inference.measure.formulas import over_seeds
from implicit_inference.show.drawing import Axes, Figure
from implicit_inference.show.notation import BLUE, GREEN, RANGES, RED, Look
from implicit_inference.study.panels import by_seed, categories, finished, legend, zero
from implicit_inference.study.probed import MEASURED, ODDS_ALONE, net, rises
from implicit_inference.study.results import Results

Case = tuple[str, float | None]
LANGUAGES: dict[str, tuple[Case, str]] = {
    "English": (("identity", None), RED),
    "second language": (("translation", 2.0), BLUE),
    "rarest language": (("translation", 4.0), GREEN),
}
PREDICTORS = {
    MEASURED: ("", "-", "o"),
    ODDS_ALONE: (", by its prior odds alone", "--", ""),
    CONSTANT_PULL: (", null", ":", ""),
}
"""predictor -> its label, line and marker"""
Variants = list[tuple[str, Results]]


def look(language: str, predictor: str) -> Look:
    label, style, marker = PREDICTORS[predictor]
    return Look(language + label, LANGUAGES[language][1], style, marker)


def forgetting(axes: Axes, variants: Variants, where: str) -> None:
    """The rise of the loss on fresh tables in each language, and what the odds predict."""
    places = categories(axes, [name for name, _ in variants])
    for language, (case, _) in LANGUAGES.items():
        for predictor in (MEASURED, ODDS_ALONE):
            found = [over_seeds(rises(part, where, predictor, case)[1]) for _, part in variants]
            line(axes, look(language, predictor), places, found)
    zero(axes)


def recovery(axes: Axes, variants: Variants, where: str) -> None:
    """Net recovery in translation, beside the null and what the odds predict."""
    places = categories(axes, [name for name, _ in variants])
    for language, (case, _) in list(LANGUAGES.items())[1:]:
        for predictor in PREDICTORS:
            line(axes, look(language, predictor), places, [net(part, where, predictor, case) for _, part in variants])
    zero(axes, 0.0, 1.0)
    axes.set_ylim(LOWEST, 1.25)


def odds(axes: Axes, variants: Variants, where: str) -> None:
    """The log odds in each language, before (dotted) and after."""
    places = categories(axes, [name for name, _ in variants])
    for language, (case, colour) in LANGUAGES.items():
        cell = {"quantity": "odds", "range": where, "conjugation": case[0], "strength": case[1]}
        for predictor, style in (("pretrained", ":"), (MEASURED, "-")):
            parts = [part.where(**cell, predictor=predictor) for _, part in variants]
            x = np.repeat(places, [len(part) for part in parts])
            label = f"{language}, {NAMES.predictor(predictor)}"
            by_seed(axes, Look(label, colour, style, "o"), x, Results.joined(parts))
    zero(axes)


def draw(table: Results) -> Figure:
    """Early positions above, late below."""
    groups = table.groups("tasks.languages")
    variants = [(labels["tasks.languages"].strip("(").split(",")[0], part) for labels, part in groups]
    panels = {"forgetting on fresh tables": forgetting, "net recovery in translation": recovery}
    panels |= {"prior log odds, inferred (seeds)": odds}
    figure = Figure(figsize=(14, 8))
    grid = figure.subplots(2, 3, sharex=True)
    for row, where in zip(grid, ("early", "late"), strict=True):
        for axes, (title, panel) in zip(row, panels.items(), strict=True):
            panel(axes, variants, where)
            axes.set_ylabel(f"{title}, {where}")
    for axes in grid[1]:
        axes.set_xlabel("share of English in pretraining")
    for axes in grid[0]:
        legend(axes, fontsize=7)
    return finished(figure, f"Dominance of English and rare languages ({RANGES['early']} above)", table, legend=False)


if __name__ == "__main__":
    sys.exit(main("rare_languages", draw))
