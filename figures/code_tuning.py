"""Accuracy after tuning on one skill without instructions: on the other skills, on fresh tables; and translated."""

import sys

from figure import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLUE, RANGES, RED, Look
from implicit_inference.study.panels import categories, finished, points
from implicit_inference.study.results import Results

LOOKS = {"pretrained": Look("pretrained", BLUE), "finetuned": Look("tuned on one skill in English", RED)}
ASKED = {"others": "other skills", "fresh": "fresh tables"}
PLACES = {"none": "first answer", "early": RANGES["early"], "late": RANGES["late"]}
WAYS = ("English", "translated")


def draw(table: Results) -> Figure:
    """A column for each dose; a row for what is asked, and after how many exemplars."""
    groups = table.groups("finetune.steps")
    rows = [(asked, place) for asked in ASKED for place in PLACES if (asked, place) != ("fresh", "none")]
    figure = Figure(figsize=(2.8 * len(groups) + 1, 2.3 * len(rows)))
    grid = figure.subplots(len(rows), len(groups), sharey="row", sharex=True, squeeze=False)
    for column, (labels, part) in zip(grid.T, groups, strict=True):
        for axes, (asked, place) in zip(column, rows, strict=True):
            results, places = part.where(asked=asked, place=place), categories(axes, WAYS)
            for offset, (name, look) in zip((-0.1, 0.1), LOOKS.items(), strict=True):
                points(
                    axes, places + offset, [over_seeds(results.values(predictor=name, way=way)) for way in WAYS], look
                )
        column[0].set_title(f"{labels['finetune.steps']} steps", fontsize=10)
    for axes, (asked, place) in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(f"accuracy, {ASKED[asked]},\n{PLACES[place]}", fontsize=9)
    return finished(figure, "One skill without instructions, and what else was known", table)


if __name__ == "__main__":
    sys.exit(main("code_tuning", draw))
