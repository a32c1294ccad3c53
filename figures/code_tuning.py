"""Accuracy on known tables after tuning on one skill without instructions, in English and translated."""

import sys

from figure import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.runs.store import Record
from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLUE, RANGES, RED, Look
from implicit_inference.study.panels import categories, finished, points
from implicit_inference.study.results import Results

LOOKS = {"pretrained": Look("pretrained", BLUE), "finetuned": Look("tuned on one skill in English", RED)}
CASES: dict[str, Record] = {
    "English": {"family": "known", "conjugation": "identity"},
    "translated": {"family": "known", "conjugation": "translation", "strength": 2.0},
    "second language": {"family": "known_elsewhere", "conjugation": "identity"},
}


def draw(table: Results) -> Figure:
    """A column for each dose, early positions above, late ones below."""
    groups = table.groups("finetune.steps")
    figure = Figure(figsize=(3.4 * len(groups) + 1, 6))
    grid = figure.subplots(2, len(groups), sharey=True, squeeze=False)
    for column, (labels, part) in zip(grid.T, groups, strict=True):
        for axes, where in zip(column, ("early", "late"), strict=True):
            results, places = part.where(quantity="accuracy", range=where), categories(axes, list(CASES))
            for offset, (name, look) in zip((-0.1, 0.1), LOOKS.items(), strict=True):
                found = [over_seeds(results.values(predictor=name, **case)) for case in CASES.values()]
                points(axes, places + offset, found, look)
            axes.set_ylim(0, 1.02)
            axes.set_title(f"{labels['finetune.steps']} steps, {RANGES[where]}", fontsize=10)
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy on known tables")
    return finished(figure, "One skill without instructions, and the others", table)


if __name__ == "__main__":
    sys.exit(main("code_tuning", draw))
