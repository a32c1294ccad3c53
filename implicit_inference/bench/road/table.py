"""Rows of what was measured: when each seed arrives, and its curve; and the arms side by side."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from implicit_inference.bench.road.curves import Lane, Points, arrivals

Row = dict[str, Any]


def arrival_rows(lanes: Sequence[Lane], goal: float) -> list[Row]:
    """A row for each seed: when it is within the excess, and the milliseconds that a step of all seeds takes."""
    found, pace = arrivals(lanes, goal), step_seconds(lanes)
    return [
        {
            "excess": goal,
            "seed": seed,
            "steps": arrival.steps,
            "seconds": arrival.seconds,
            "reached": arrival.reached,
            "step_ms": 1e3 * pace,
        }
        for seed, arrival in sorted(found.items())
    ]


def step_seconds(lanes: Sequence[Lane]) -> float:
    """The seconds of a step of all seeds, after the first evaluation."""
    curves = [points for lane in lanes for group in lane.groups for points in group.values()]
    between = [(points[-1][0] - points[0][0], points[-1][1] - points[0][1]) for points in curves]
    steps, seconds = np.sum(between, axis=0)
    return float(len(lanes[0].groups) * seconds / steps) if steps else np.nan


def curve_rows(lanes: Sequence[Lane]) -> list[Row]:
    """A row for each seed and some of its evaluations; the seconds are those of all seeds, if all are as fast."""
    return [
        {"seed": seed, "steps": steps, "seconds": lane.start + len(lane.groups) * seconds, "mean": excess}
        for lane in lanes
        for group in lane.groups
        for seed, points in group.items()
        for steps, seconds, excess in thinned(points)
    ]


def thinned(points: Points, growth: float = 1.05) -> Points:
    """The points whose steps grow by a factor at least, and the last one."""
    kept = points[:1]
    for point in points[1:]:
        if point[0] >= growth * kept[-1][0] or point is points[-1]:
            kept.append(point)
    return kept


def side_by_side(rows: Sequence[Row]) -> list[str]:
    """The arms as a table in Markdown, by excess: seconds until the last seed arrives.

    Ratios are to the arm of the first row.
    """
    lines = ["| excess | arm | ms a step of all seeds | steps | seconds | times as soon |", "|---|---|---|---|---|---|"]
    for goal in dict.fromkeys(row["excess"] for row in rows):
        by_arm: dict[str, list[Row]] = {}
        for row in rows:
            if row["excess"] == goal:
                by_arm.setdefault(row["arm"], []).append(row)
        first = by_arm.get(rows[0]["arm"])
        for arm, found in by_arm.items():
            steps = sorted({row["steps"] for row in found})
            cells = [f"{found[0]['step_ms']:.3g}", " to ".join(map(str, dict.fromkeys((steps[0], steps[-1]))))]
            cells += [f"{unless_all(found)}{last(found):.0f}", ratio(first, found) if first else "-"]
            lines.append(f"| {' | '.join([f'{goal:.2f}', arm, *cells])} |")
    return lines


def last(rows: Sequence[Row]) -> float:
    """Seconds until the last seed arrives, or is given up."""
    return max(row["seconds"] for row in rows)


def unless_all(rows: Sequence[Row]) -> str:
    """The sign of a lower bound, unless all seeds arrive."""
    return "" if all(row["reached"] for row in rows) else "> "


def ratio(slow: Sequence[Row], fast: Sequence[Row]) -> str:
    """How many times as soon `fast` arrives; a bound, rounded down, if `slow` never does; - if `fast` never does."""
    times = last(slow) / last(fast)
    if unless_all(fast):
        return "-"
    return f"> {math.floor(10 * times) / 10:.1f}" if unless_all(slow) else f"{times:.1f}"
