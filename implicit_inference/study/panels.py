"""Parts of every figure of an experiment: bands, bars, seeds, reference lines, the title with what n is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from implicit_inference.measure.formulas import Estimate, Values
from implicit_inference.show.drawing import Axes, Figure, estimates, legend_below, marker, there, undefined
from implicit_inference.show.notation import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, Look
from implicit_inference.study.results import Results

COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY, BLACK)


def band(axes: Axes, look: Look, x: Sequence[float] | Values, rows: Results, shade: float = 0.2) -> None:
    """Mean and a band of one standard error, against x in ascending order; `shade` 0 leaves the band out."""
    order = np.argsort(np.asarray(x, float))
    numbers = zip(rows.column("mean")[order], rows.column("stderr")[order], strict=True)
    estimates(axes, look, np.asarray(x, float)[order], [Estimate(*pair) for pair in numbers], shade)


def bars(axes: Axes, x: Values, rows: Results, look: Look) -> None:
    """Points with bars of one standard error."""
    if not there(rows.column("mean")):
        return
    axes.errorbar(
        x, rows.column("mean"), yerr=rows.column("stderr"), fmt=look.marker or "o", color=look.colour, label=look.label
    )


def by_seed(axes: Axes, look: Look, x: Values | float, rows: Results) -> None:
    """The median over seeds against x, of each row or of all, and the seeds, thin: for what needs no mean to exist."""
    x, mean = np.broadcast_to(x, len(rows)), rows.column("mean")
    if not there(mean):
        return
    places = np.unique(x)
    median = [np.median(mean[x == place]) for place in places]
    axes.plot(places, median, look.line, marker=marker(look, np.array(median)), color=look.colour, label=look.label)
    for seed in rows.levels("seed"):
        own = rows.column("seed") == seed
        axes.plot(x[own], mean[own], look.line, marker="_", color=look.colour, linewidth=0.6, alpha=0.6)


def level(axes: Axes, look: Look, rows: Results) -> None:
    """A horizontal line."""
    if there(height := rows.column("mean")[:1]):
        axes.axhline(height[0], color=look.colour, linestyle=look.line, linewidth=1.2, label=look.label)


def zero(axes: Axes, *levels: float) -> None:
    """Thin reference lines."""
    for y in levels or (0.0,):
        axes.axhline(y, color=GREY, linewidth=0.8)


def categories(axes: Axes, names: Sequence[str]) -> Values:
    """Names along x; returns their places."""
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    return np.arange(float(len(names)))


def legend(axes: Axes, **how: Any) -> None:
    """Adds a panel's own legend, unless nothing in it has a name."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(**how)


def finished(figure: Figure, title: str, table: Results, legend: bool = True) -> Figure:
    """Adds the title with what n is, why panels are empty, and one legend below, unless panels have their own."""
    for axes in figure.axes:
        undefined(axes, "no number of it has a value")
    if legend:
        legend_below(figure)
    figure.suptitle(f"{title}\n{table.sizes}", x=0.01, ha="left", fontsize=11)
    return figure
