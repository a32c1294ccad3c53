"""A sweep on one page: a picture with an axis along x, one as lines, the others as columns; every run; what failed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from implicit_inference.measure.formulas import Estimate
from implicit_inference.runs.files import write_whole
from implicit_inference.show.drawing import Figure, estimates, legend_below, rendered, style, undefined
from implicit_inference.show.notation import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, Look
from implicit_inference.show.pages import filled, inline

COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY, BLACK, GREY)
MOST_COLUMNS = 6
WIDE = 20
"""Largest over smallest value of an axis from which on it is drawn on a log scale."""
MOST_ROWS = 1000
"""Rows of a table on the page; the files of the sweep hold all."""

Place = tuple[Any, ...]
"""The values of the fields of one axis."""
Row = tuple[tuple[Place, ...], str, tuple[dict[str, Any], ...]]
"""(places on the axes, id of the run, mean and standard error of what is drawn)"""


def write(
    path: Path,
    axes: Sequence[str],
    quantities: Sequence[str],
    rows: Sequence[Row],
    failed: dict[str, str],
    told: str,
) -> Path:
    """Writes the page of a sweep and returns its path.

    `axes`: a label for each. `told`: what there was to do. `failed`: {run: reason}.
    """
    page = filled(
        "sweeps",
        "page.html.jinja",
        axes=axes,
        quantities=quantities,
        rows=[(map(place_text, places), id, values) for places, id, values in rows[:MOST_ROWS]],
        n_rows=len(rows),
        failed=list(failed.items())[:MOST_ROWS],
        n_failed=len(failed),
        told=told,
        picture=inline(picture(axes, quantities, rows)) if rows else None,
        left_out=left_out(rows),
    )
    write_whole(path, page)
    return path


def place_text(place: Place) -> str:
    """The values of one place on an axis, as text."""
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in place)


def picture(axes: Sequence[str], quantities: Sequence[str], rows: Sequence[Row]) -> bytes:
    """Draws one picture, as SVG: x is the first axis, lines are the second one, columns all others together.

    Each quantity has a row of panels. Of many lines and columns, some are drawn, evenly spread.
    """
    drawn = {(places[:1], places[1:2], places[2:]): values for places, _, values in rows}
    x_places, lines, columns = ([*dict.fromkeys(part)] for part in zip(*drawn, strict=True))
    lines, columns = spread_out(lines, len(COLOURS)), spread_out(columns, MOST_COLUMNS)
    x, ticks = _along(x_places)
    with style():
        figure = Figure(figsize=(2.5 + 3.2 * len(columns), 1.2 + 2.6 * len(quantities)))
        panels = figure.subplots(len(quantities), len(columns), sharex=True, sharey="row", squeeze=False)
        for i, quantity in enumerate(quantities):
            for j, column in enumerate(columns):
                panel = panels[i][j]
                for colour, line in zip(COLOURS, lines, strict=False):
                    found = [drawn.get((place, line, column)) for place in x_places]
                    values = [None if of is None or of[i]["mean"] is None else _estimate(of[i]) for of in found]
                    estimates(panel, Look(_label(axes[1:2], line), colour, marker="o"), x, values)
                undefined(panel, "in every run")
                panel.axhline(0, color=GREY, linewidth=0.8)
                if i == 0 and column:
                    panel.set_title(_label(axes[2:], column))
                if j == 0:
                    panel.set_ylabel(quantity.replace(", ", "\n"))
                if i == len(quantities) - 1:
                    panel.set_xlabel("".join(axes[:1]))
                    if ticks is None:
                        panel.set_xscale("log" if _is_wide(x) else "linear")
                    else:
                        panel.set_xticks(x, ticks)
        if lines != [()]:
            legend_below(figure)
        return rendered(figure, "svg")


def spread_out(found: list[Any], most: int) -> list[Any]:
    """The first, the last, and some between of a list that is longer than `most`, evenly spread."""
    if len(found) <= most:
        return found
    return [found[round(i * (len(found) - 1) / (most - 1))] for i in range(most)]


def left_out(rows: Sequence[Row]) -> str:
    """Says which lines and columns the picture lacks; empty if none."""
    lines, columns = ({places[part] for places, _, _ in rows} for part in (slice(1, 2), slice(2, None)))
    parts = [
        f"{most} of {len(found)} {name}"
        for name, found, most in (("lines", lines, len(COLOURS)), ("columns", columns, MOST_COLUMNS))
        if len(found) > most
    ]
    return f"Drawn: {' and '.join(parts)}, evenly spread." if parts else ""


def _label(axes: Sequence[str], places: Sequence[Place]) -> str:
    return "; ".join(f"{axis} = {place_text(place)}" for axis, place in zip(axes, places, strict=True))


def _along(places: list[tuple[Place, ...]]) -> tuple[list[float], list[str] | None]:
    """Where the places of the x axis stand; with their names, unless they are numbers."""
    values = [place[0][0] for place in places if len(place) == 1 and len(place[0]) == 1]
    if len(values) == len(places) and all(isinstance(value, int | float) for value in values):
        return [float(value) for value in values], None
    return [float(i) for i in range(len(places))], [place_text(place[0]) if place else "" for place in places]


def _is_wide(x: list[float]) -> bool:
    """Whether positive numbers span so much that a log scale shows them best."""
    return min(x) > 0 and max(x) / min(x) >= WIDE


def _estimate(value: dict[str, Any]) -> Estimate:
    return Estimate(value["mean"], float("nan") if value["stderr"] is None else value["stderr"])
