"""Parts of every figure of an experiment: bands, bars, seeds, reference lines, the title with what n is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from implicit_inference.measure.formulas import Estimate, Values
from implicit_inference.show.drawing import Axes, Figure, drawable, estimates, legend_below, marker, undefined
from implicit_inference.show.notation import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, Look
from implicit_inference.study.results import Results

COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY, BLACK)


def band(axes: Axes, look: Look, x: Sequence[float] | Values, results: Results, shade: float = 0.2) -> None:
    """Mean and a band of one standard error, against x in ascending order; `shade` 0 leaves the band out."""
    order = np.argsort(np.asarray(x, float))
    numbers = zip(results.column("mean")[order], results.column("stderr")[order], strict=True)
    estimates(axes, look, np.asarray(x, float)[order], [Estimate(*pair) for pair in numbers], shade)


def bars(axes: Axes, x: Values, results: Results, look: Look) -> None:
    """Points with bars of one standard error."""
    if not drawable(results.column("mean")):
        return
    axes.errorbar(
        x,
        results.column("mean"),
        yerr=results.column("stderr"),
        fmt=look.marker or "o",
        color=look.colour,
        label=look.label,
    )


def points(axes: Axes, x: Values, found: Sequence[Estimate], look: Look) -> None:
    """Estimates as points with bars of one standard error."""
    mean, stderr = (np.array([getattr(estimate, of) for estimate in found]) for of in ("mean", "stderr"))
    if not drawable(mean):
        return
    axes.errorbar(x, mean, yerr=stderr, fmt=look.marker or "o", color=look.colour, label=look.label)


def by_seed(axes: Axes, look: Look, x: Values | float, results: Results) -> None:
    """The median over seeds against x, of each row or of all, and the seeds, thin: for what needs no mean to exist."""
    x, mean = np.broadcast_to(x, len(results)), results.column("mean")
    if not drawable(mean):
        return
    places = np.unique(x)
    median = [np.median(mean[x == place]) for place in places]
    axes.plot(places, median, look.line, marker=marker(look, np.array(median)), color=look.colour, label=look.label)
    for seed in results.levels("seed"):
        mask = results.column("seed") == seed
        axes.plot(x[mask], mean[mask], look.line, marker="_", color=look.colour, linewidth=0.6, alpha=0.6)


def level(axes: Axes, look: Look, results: Results) -> None:
    """A horizontal line."""
    if drawable(height := results.column("mean")[:1]):
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
