"""Accuracy by language before and after instruction tuning, and translated; recovery beside the null."""

import sys

from figure import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLUE, PURPLE, RANGES, RED, Look
from implicit_inference.study.panels import categories, finished, points
from implicit_inference.study.results import Results

TUNED = {"english": "tuned in English", "discrete": "tuned in all languages"}
LOOKS = {
    "pretrained": Look("pretrained", BLUE),
    "finetuned": Look("fine-tuned", RED),
    "scratch": Look("scratch (fine-tuning tasks only)", PURPLE),
}


def draw(table: Results) -> Figure:
    """A column for each way to tune, early positions above, late ones below."""
    groups = table.groups("finetune.tasks")
    figure = Figure(figsize=(5 * len(groups), 6.6))
    grid = figure.subplots(2, len(groups), sharey=True, squeeze=False)
    for column, (labels, part) in zip(grid.T, groups, strict=True):
        for axes, where in zip(column, ("early", "late"), strict=True):
            results = part.where(quantity="accuracy", range=where, family="fresh")
            cases = [case for case, _ in results.groups("conjugation", "strength")]
            languages = [f"language {case['strength']:g}" for case in cases[1:-1]]
            columns = ["English", *languages, "permuted"]
            places = categories(axes, columns)
            for offset, (name, look) in zip((-0.2, 0.0, 0.2), LOOKS.items(), strict=True):
                found = [over_seeds(results.values(predictor=name, **case)) for case in cases]
                points(axes, places + offset, found, look)
            axes.set_ylim(0, 1)
            axes.set_title(f"{TUNED[labels['finetune.tasks']]}, {RANGES[where]}", fontsize=10)
    figure.axes[0].set_ylabel("accuracy on fresh tables")
    figure.axes[1].set_ylabel("accuracy on fresh tables")
    return finished(figure, "In-context learning in English, and translated", table)


if __name__ == "__main__":
    sys.exit(main("translation", draw))
