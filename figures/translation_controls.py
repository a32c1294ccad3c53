"""Forgetting by language, and what every way brings back of it, with the controls beside."""

import sys
from dataclasses import replace

from figure import NAMES, main
from ladder import LOWEST

from implicit_inference.bayes.attribution import CONSTANT_PULL
from implicit_inference.measure.lookup import SHRUNK
from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLACK, RANGES, RED, Look
from implicit_inference.study.panels import categories, finished, points, zero
from implicit_inference.study.probed import MEASURED, net
from implicit_inference.study.results import Results

TUNED = {"english": "tuned in English", "evenly": "tuned in all languages"}
FAMILIES = {"fresh": "English", "fresh_elsewhere": "second\nlanguage"}
CONTROLS = {CONSTANT_PULL: "s", "prior_and_weight": "o", "scratch": "o", "damaged_rise": "^", "uninformed": "x"}
"""predictor -> its marker"""
MEASURED_LOOK = Look("measured", RED, marker="o")


def draw(table: Results) -> Figure:
    """A column pair for each way to tune; early positions above, late below."""
    groups = table.groups("finetune.tasks")
    figure = Figure(figsize=(7.5 * len(groups), 8))
    grid = figure.subplots(2, 2 * len(groups), sharey="col", squeeze=False, width_ratios=(1, 3) * len(groups))
    for row, where in zip(grid, ("early", "late"), strict=True):
        for i, (labels, part) in enumerate(groups):
            losses, recoveries = row[2 * i : 2 * i + 2]
            places = categories(losses, list(FAMILIES.values()))
            changes = [part.estimate(quantity="change", range=where, family=family) for family in FAMILIES]
            points(losses, places, changes, Look("rise of the loss on fresh tables", BLACK, marker="s"))
            zero(losses)
            losses.set_ylabel(f"forgetting, {RANGES[where]}")
            cases = [tuple(case.values()) for case, _ in part.where(quantity="gate").groups("conjugation", "strength")]
            languages = [f"language {strength:g}" for name, strength in cases[1:-1]]
            cases = [*cases[1:], SHRUNK]
            places = categories(recoveries, [*languages, "permuted", "best\npower"])
            for j, name in enumerate((MEASURED, *CONTROLS)):
                look = replace(NAMES.look(name), marker=CONTROLS[name]) if name in CONTROLS else MEASURED_LOOK
                known = [case for case in cases if name == MEASURED or case != SHRUNK]
                found = [net(part, where, name, case) for case in known]
                points(recoveries, places[: len(known)] + 0.12 * (j - 2.5), found, look)
            zero(recoveries, 0.0, 1.0)
            recoveries.set(ylim=(LOWEST, 1.25), title=TUNED[labels["finetune.tasks"]], ylabel="net recovery")
    return finished(figure, f"Forgetting, and what comes back (net recovery above {LOWEST:g} is shown)", table)


if __name__ == "__main__":
    sys.exit(main("translation", draw, "translation_controls"))
