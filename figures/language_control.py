"""One control for instructions, one for exemplars: losses by family and language; control against stage 1 steps."""

import sys

import numpy as np
from figure import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.show.drawing import Axes, Figure, estimates
from implicit_inference.show.notation import BLACK, BLUE, GREEN, GREY, RED, Look
from implicit_inference.study.panels import categories, finished, legend, points, zero
from implicit_inference.study.results import Results

FAMILIES = {
    "known": "instructed,\nEnglish",
    "known_elsewhere": "instructed,\nsecond lang.",
    "fresh": "exemplars,\nEnglish",
    "fresh_elsewhere": "exemplars,\nsecond lang.",
}
LOOKS = {
    ("controlled", 1.0): Look("control for instructions", RED),
    ("controlled", 0.0): Look("control for exemplars", BLUE),
    ("uncontrolled", None): Look("without a control", GREY, marker="x"),
    ("plain", None): Look("fine-tuned without controls", GREEN, marker="D"),
}
METHODS = {"soft_prompt": ("soft prompts", BLUE, "o"), "lora": ("low rank", RED, "s")}
STEPS = ("tune.steps", "steer.steps")
PLACES = {"": ("-", "English"), "_elsewhere": (":", "second language")}


def by_control(axes: Axes, part: Results) -> None:
    """The loss above the pretrained network's, by family, under each control and without any."""
    places = categories(axes, list(FAMILIES.values()))
    for i, ((name, grade), look) in enumerate(LOOKS.items()):
        rises = [
            part.where(family=family).values(predictor=name, grade=grade)
            - part.where(family=family).values(predictor="pretrained", grade=None)
            for family in FAMILIES
        ]
        points(axes, places + 0.15 * (i - 1.5), [over_seeds(rise) for rise in rises], look)
    zero(axes)


def by_split(axes: Axes, table: Results, quantity: str, where: str) -> None:
    """One quantity against the fraction of the steps that stage 1 takes, by method and language; exact Bayes."""
    total, results = max(table.levels("steer.steps")), table.where(range=where)
    for place, (style, language) in PLACES.items():
        here = results.where(quantity=quantity + place)
        for method in table.levels("control.adapt.method"):
            name, colour, marker = METHODS[method]
            part = here.where(control__adapt__method=method, predictor="controlled")
            found = {tuple(labels.values()): variant.estimate() for labels, variant in part.groups(*STEPS)}
            split = {first / total: estimate for (first, second), estimate in found.items() if first + second == total}
            added = {first / total: estimate for (first, second), estimate in found.items() if first + second > total}
            estimates(axes, Look(f"{name}, {language}", colour, style, marker), [*split], [*split.values()])
            extra = Look(f"{name}, {language}, + stage 1", colour, marker="x" if place else "*")
            points(axes, np.array([*added]), [*added.values()], extra)
        exact = here.where(predictor="ideal", control__adapt__method="soft_prompt", tune__steps=0).estimate().mean
        axes.axhline(exact, color=BLACK, linestyle=style, linewidth=1, label=f"exact Bayes, {language}")


def draw(table: Results) -> Figure:
    """Early positions above, late below; the first column has soft prompts with half of the steps in stage 1."""
    half = round(max(table.levels("steer.steps")) / 2)
    staged = table.where(quantity="loss", control__adapt__method="soft_prompt", tune__steps=half, steer__steps=half)
    figure = Figure(figsize=(15, 8))
    grid = figure.subplots(2, 3, width_ratios=(1.4, 1, 1))
    for row, where in zip(grid, ("early", "late"), strict=True):
        by_control(row[0], staged.where(range=where))
        row[0].set_ylabel(f"loss above the pretrained one, {where}")
        for axes, quantity in zip(row[1:], ("controllability", "right_loss"), strict=True):
            by_split(axes, table, quantity, where)
        row[1].set_ylabel(f"controllability, {where}")
        row[2].set_ylabel(f"loss under the right control, {where}")
    for axes in grid[1, 1:]:
        axes.set_xlabel("fraction of the steps in stage 1")
    for axes in grid[0, ::2]:
        legend(axes, fontsize=7)
    title = "Controls for instructions and for exemplars (left: soft prompts, half of the steps in stage 1)"
    return finished(figure, title, table, legend=False)


if __name__ == "__main__":
    sys.exit(main("language_control", draw))
