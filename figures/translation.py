"""Accuracy on fresh English documents: against exemplars before, after and translated; by language, with scratch."""

import sys

from figure import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.show.drawing import Figure, counts, estimates
from implicit_inference.show.notation import BLUE, GREEN, PURPLE, RANGES, RED, Look
from implicit_inference.study.panels import categories, finished, points
from implicit_inference.study.results import Results

TUNED = {"english": "tuned in English", "evenly": "tuned in all languages"}
WAYS = {
    "before": Look("pretrained", BLUE, ":", "o"),
    "after": Look("fine-tuned", RED, "-", "o"),
    "translated": Look("fine-tuned, translated", GREEN, "--", "s"),
}
NETWORKS = {
    "pretrained": Look("pretrained", BLUE, marker="o"),
    "finetuned": Look("fine-tuned", RED, marker="o"),
    "scratch": Look("scratch (fine-tuning tasks only)", PURPLE, marker="o"),
}


def draw(table: Results) -> Figure:
    """A row for each way to tune: against exemplars, then by language at early and at late positions."""
    groups = table.groups("finetune.tasks")
    figure = Figure(figsize=(13, 3.6 * len(groups) + 0.8))
    grid = figure.subplots(len(groups), 3, sharey=True, squeeze=False, width_ratios=(1, 1.2, 1.2))
    for row, (labels, part) in zip(grid, groups, strict=True):
        curves = part.where(quantity="accuracy_at")
        exemplars = curves.levels("exemplars")
        for way, look in WAYS.items():
            found = [over_seeds(curves.values(way=way, exemplars=k)) for k in exemplars]
            estimates(row[0], look, exemplars, found)
        row[0].set(title=TUNED[labels["finetune.tasks"]], ylabel="accuracy on fresh tables")
        counts(row[0].xaxis, "exemplars")
        for axes, where in zip(row[1:], ("early", "late"), strict=True):
            results = part.where(quantity="accuracy", range=where, family="fresh")
            cases = [case for case, _ in results.groups("conjugation", "strength")]
            languages = [f"language {case['strength']:g}" for case in cases[1:-1]]
            places = categories(axes, ["English", *languages, "permuted"])
            for offset, (name, look) in zip((-0.2, 0.0, 0.2), NETWORKS.items(), strict=True):
                points(
                    axes, places + offset, [over_seeds(results.values(predictor=name, **case)) for case in cases], look
                )
            axes.set_title(f"{TUNED[labels['finetune.tasks']]}, {RANGES[where]}", fontsize=10)
    return finished(figure, "In-context learning in English, and translated", table)


if __name__ == "__main__":
    sys.exit(main("translation", draw))
