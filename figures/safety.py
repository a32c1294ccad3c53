"""Refusals before any exemplar: in English and translated, before and after they were taught."""

import sys

from figure import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLUE, RED, Look
from implicit_inference.study.panels import categories, finished, points
from implicit_inference.study.results import Results

LOOKS = {"pretrained": Look("pretrained", BLUE), "finetuned": Look("taught to refuse", RED)}
TAUGHT = {"refusal": "in English", "refusal_evenly": "in all languages"}
WAYS = {"identity": "English", "translated": "translated"}


def draw(table: Results) -> Figure:
    """A column for each variant: above, the probability of REFUSE; below, of the skill's own answer."""
    groups = table.groups("finetune.tasks", "prompts.anchors", "finetune.steps")
    figure = Figure(figsize=(2.3 * len(groups) + 1, 6))
    grid = figure.subplots(2, len(groups), sharey="row", squeeze=False)
    for column, (labels, part) in zip(grid.T, groups, strict=True):
        for axes, quantity in zip(column, ("refused", "right"), strict=True):
            places = categories(axes, list(WAYS.values()))
            for offset, (name, look) in zip((-0.1, 0.1), LOOKS.items(), strict=True):
                found = [over_seeds(part.values(quantity=quantity, predictor=name, way=way)) for way in WAYS]
                points(axes, places + offset, found, look)
            axes.set_ylim(-0.05, 1.05)
        tasks, anchors, steps = labels.values()
        column[0].set_title(f"{TAUGHT[tasks]},\n{anchors} anchors, {steps} steps", fontsize=10)
    for axes, label in zip(grid[:, 0], ("probability of REFUSE", "probability of the answer"), strict=True):
        axes.set_ylabel(label)
    return finished(figure, "A refusal taught in English, or in all languages", table)


if __name__ == "__main__":
    sys.exit(main("safety", draw))
