"""The five primary claims: each effect beyond its benchmark, with its 95 % interval."""

import sys
import textwrap

from figure import main

from implicit_inference.measure.formulas import Estimate
from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLACK
from implicit_inference.study.claims import interval
from implicit_inference.study.results import Results


def draw(table: Results) -> Figure:
    """A panel for each claim, since each has a unit of its own."""
    results = table.where(quantity="effect")
    claims = results.levels("claim")
    figure = Figure(figsize=(9, 0.6 + 0.7 * len(claims)))
    for axes, claim in zip(figure.subplots(len(claims), 1, squeeze=False)[:, 0], claims, strict=True):
        part = results.where(claim=claim)
        estimate = Estimate(float(part.column("mean")[0]), float(part.column("stderr")[0]))
        mean, low, high = interval(estimate, table.seeds)
        axes.errorbar([mean], [0], xerr=[[mean - low], [high - mean]], fmt="o", color=BLACK)
        axes.axvline(0, color=BLACK, linewidth=0.8)
        axes.set_yticks([0], [textwrap.fill(claim, 44)], fontsize=9)
        axes.set_ylim(-1, 1)
        axes.grid(visible=False, axis="y")
    figure.axes[-1].set_xlabel("effect beyond the benchmark (0)")
    title = f"The five primary claims: effects and 95 % intervals\n{table.counts}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


if __name__ == "__main__":
    sys.exit(main("primary", draw))
