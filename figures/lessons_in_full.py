"""Students of three teachers against the size of the lesson, its filter and its cut; direct fine-tuning beside them."""

import sys
from dataclasses import replace

import numpy as np
from figure import main

from implicit_inference.show.drawing import Axes, Figure
from implicit_inference.show.notation import BLUE, GREEN, GREY, ORANGE, RED, Look
from implicit_inference.study.panels import band, by_seed, finished, level, zero
from implicit_inference.study.results import Results

TEACHERS = {
    "finetuned": Look("taught by the fine-tuned network", BLUE, marker="o"),
    "bayes": Look("taught by exact Bayes", ORANGE, marker="o"),
    "truth": Look("control: the true labels", GREEN, marker="o"),
}
DIRECT = Look("direct fine-tuning (discrete prompts)", RED)
FIELDS = {
    "lesson.prompts": "prompts in the lesson",
    "lesson.farthest": "fraction kept, farthest from the set",
    "lesson.as_drawn": "fraction of labels as drawn",
}
RANGES = {"early": "-", "late": "--"}
QUANTILES = {0.5: "-", 1.0: ":"}
HIGHEST = 6.0
"""The largest inferred log odds that are shown."""
ROWS = {
    "gain": "fall of the loss, discrete prompts",
    "forgetting": "rise of the loss, Gaussian prompts",
    "prior_logit": f"prior log odds, inferred (at most {HIGHEST:g})",
    "net_of_pretrained": "recovered, net of the pretrained",
    "log_odds": "log odds of the prompts shown",
}


def draw(table: Results) -> Figure:
    """A column for each field that is varied, the others as in the first lesson of the table."""
    table = table.reduced()
    base = {field: table.levels(field)[0] for field in FIELDS}
    figure = Figure(figsize=(11.5, 15))
    grid = figure.subplots(len(ROWS), len(FIELDS), sharey="row", sharex="col")
    for (field, name), column in zip(FIELDS.items(), grid.T, strict=True):
        others = {other: value for other, value in base.items() if other != field}
        students = {teacher: table.where(**others, **{"lesson.teacher": teacher}) for teacher in TEACHERS}
        for axes, quantity in zip(column, ROWS, strict=True):
            panel(axes, quantity, field, {t: results.where(quantity=quantity) for t, results in students.items()})
            baselines(axes, quantity, table.where(quantity=quantity, **{"lesson.teacher": None}))
        column[-1].set_xlabel(name)
        levels = sorted(table.levels(field))
        if field == "lesson.prompts":
            column[-1].set_xscale("log")
        column[-1].set_xticks(levels, [f"{x:g}" for x in levels])
        column[-1].minorticks_off()
    for axes, label in zip(grid[:, 0], ROWS.values(), strict=True):
        axes.set_ylabel(label)
    grid[0, 0].plot([], [], color=GREY, label="early; of prompts shown: the median")
    grid[0, 0].plot([], [], "--", color=GREY, label="late")
    grid[0, 0].plot([], [], ":", color=GREY, label="the closest shown; of discrete ones, the lowest 1 %")
    return finished(figure, "What a teacher's answers to Gaussian prompts pass on to its student", table)


def panel(axes: Axes, quantity: str, field: str, students: dict[str, Results]) -> None:
    """One quantity of every student against one field."""
    for teacher, unordered in students.items():
        look, results = TEACHERS[teacher], unordered.ordered(field)
        if quantity == "prior_logit":
            odds = results.where(predictor="finetuned")
            clipped = Results(odds.frame.assign(mean=odds.frame["mean"].clip(upper=HIGHEST)))
            by_seed(axes, look, odds.column(field), clipped)
            continue
        column, lines = ("quantile", QUANTILES) if quantity == "log_odds" else ("range", RANGES)
        for value, line in lines.items():
            chosen = results.where(**{column: value})
            first = look.label if line == "-" else ""
            band(axes, replace(look, line=line, label=first), chosen.column(field), chosen)


def baselines(axes: Axes, quantity: str, results: Results) -> None:
    """Direct fine-tuning, and the pretrained network: at zero, or at its own log odds."""
    zero(axes)
    if quantity == "prior_logit":
        for predictor, look in (("finetuned", DIRECT), ("pretrained", Look("pretrained", GREY))):
            axes.axhline(
                np.median(results.where(predictor=predictor).column("mean")), color=look.colour, label=look.label
            )
        return
    column, lines = ("quantile", {0.5: "-", 0.01: ":"}) if quantity == "log_odds" else ("range", RANGES)
    for value, line in lines.items():
        first = DIRECT.label if line == "-" else ""
        level(axes, replace(DIRECT, line=line, label=first), results.where(**{column: value}))


if __name__ == "__main__":
    sys.exit(main("lessons", draw, name="lessons_in_full"))
