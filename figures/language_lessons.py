"""Students of three teachers, and direct instruction tuning: losses by language, accuracy in English and translated."""

import sys
from dataclasses import replace

from figure import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.runs.store import Record
from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLUE, GREEN, ORANGE, RANGES, RED, Look
from implicit_inference.study.panels import categories, finished, points, zero
from implicit_inference.study.results import Results

DIRECT = Look("direct instruction tuning in English", RED)
LOOKS = {
    "finetuned": Look("taught by the tuned network", BLUE),
    "bayes": Look("taught by exact Bayes", ORANGE),
    "truth": Look("control: the fresh tables' own answers", GREEN),
}
FILTERED = "s"
FAMILIES = {
    "known": "instructed,\nEnglish",
    "known_elsewhere": "instructed,\nsecond language",
    "fresh": "exemplars,\nEnglish",
    "fresh_elsewhere": "exemplars,\nsecond language",
}
CASES: dict[str, Record] = {
    "English": {"family": "fresh", "conjugation": "identity"},
    "translated": {"family": "fresh", "conjugation": "translation", "strength": 2.0},
}


def named(table: Results) -> list[tuple[Look, Results]]:
    """Direct tuning, then every student; what was filtered has another marker."""
    found = [(DIRECT, table.where(probe__stage="finetune"))]
    for labels, part in table.where(probe__stage="student").groups("lesson.teacher", "lesson.farthest"):
        look = LOOKS[labels["lesson.teacher"]]
        if labels["lesson.farthest"] < 1:
            look = replace(look, label=f"{look.label}, filtered", marker=FILTERED)
        found.append((look, part))
    return found


def draw(table: Results) -> Figure:
    """Early positions above, late below: the change of the loss by family and language; accuracy from exemplars."""
    variants, figure = named(table), Figure(figsize=(12, 7.4))
    grid = figure.subplots(2, 2, width_ratios=(2, 1), sharex="col")
    for (losses, accuracies), where in zip(grid, ("early", "late"), strict=True):
        places, ways = categories(losses, list(FAMILIES.values())), categories(accuracies, ["before", *CASES])
        before = variants[0][1].where(quantity="accuracy", range=where, predictor="pretrained")
        for i, (look, part) in enumerate(variants):
            offset = 0.09 * (i - (len(variants) - 1) / 2)
            changes = [part.estimate(quantity="change", range=where, family=family) for family in FAMILIES]
            points(losses, places + offset, changes, look)
            results = part.where(quantity="accuracy", range=where, predictor="finetuned")
            found = [over_seeds(results.values(**case)) for case in CASES.values()]
            points(accuracies, ways[1:] + offset, found, look)
        points(accuracies, ways[:1], [over_seeds(before.values(**CASES["English"]))], Look("pretrained", "black"))
        zero(losses)
        losses.set_ylabel(f"change of the loss, {RANGES[where]}")
        accuracies.set_ylabel("accuracy on fresh tables")
    return finished(figure, "What a teacher's answers to fresh English documents pass on to its student", table)


if __name__ == "__main__":
    sys.exit(main("language_lessons", draw))
