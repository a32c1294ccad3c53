"""Ways to tune for instructions in English: forgetting against gain by language, and what translation brings back."""

import sys

import numpy as np
from figure import main
from ladder import LOWEST, TRANSLATED, parts, recovered

from implicit_inference.measure.formulas import Estimate, over_seeds
from implicit_inference.show.drawing import Axes, Figure
from implicit_inference.show.notation import GREY, RANGES
from implicit_inference.study.panels import COLOURS, finished, legend, zero
from implicit_inference.study.results import Results

WORDS = {"": "o", "_elsewhere": "s"}
"""language of a family -> its marker: English, and the second language"""


def gained_and_forgotten(axes: Axes, ways: list[tuple[str, Results]], where: str) -> None:
    """One point a way and language, the two languages joined."""
    for (name, results), colour in zip(ways, COLOURS, strict=False):
        ends = list[tuple[Estimate, Estimate]]()
        for language, marker in WORDS.items():
            of = {kind: results.values(quantity="change", range=where, family=kind + language) for kind in KINDS}
            x, y = over_seeds(-of["known"]), over_seeds(of["fresh"])
            label = "" if language else name
            axes.errorbar(x.mean, y.mean, y.stderr, x.stderr, marker, color=colour, label=label, markersize=5)
            ends.append((x, y))
        axes.plot(*np.array([[estimate.mean for estimate in end] for end in ends]).T, color=colour, linewidth=0.8)
    for marker, text in (("o", "English"), ("s", "second language")):
        axes.plot([], [], marker, color=GREY, label=text)
    axes.set_ylabel(f"forgetting, {RANGES[where]}")
    zero(axes)


KINDS = ("known", "fresh")


def draw(table: Results) -> Figure:
    """Early positions above, late below."""
    ways = [(labels["way"], part) for labels, part in table.groups("way")]
    broken = [(name.replace(" ", "\n"), part) for name, part in ways]
    figure = Figure(figsize=(14, 8))
    grid = figure.subplots(2, 3)
    for row, where in zip(grid, ("early", "late"), strict=True):
        gained_and_forgotten(row[0], ways, where)
        recovered(row[1], broken, where, TRANSLATED["translated"])
        parts(row[2], broken, where)
        row[1].set_ylabel("net recovery in translation")
        row[2].set_ylabel("rise of the distance to the exact predictor")
    grid[1, 0].set_xlabel("gain on known tables")
    for axes in grid[1]:
        legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=8)
    title = f"Ways to tune for instructions in English (net recovery above {LOWEST:g} is shown)"
    return finished(figure, title, table, legend=False)


if __name__ == "__main__":
    sys.exit(main("language_methods", draw))
