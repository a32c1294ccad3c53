"""Excess against time, and when it is small enough: a clock that can be held, crossings, arrivals. No jax here."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from implicit_inference.bench.road.recipes import EVERY

Points = list[tuple[int, float, float]]
"""(steps, seconds, excess) of one seed at each evaluation"""


class Watch:
    """A clock that stands still while it is held."""

    def __init__(self, now: Callable[[], float] = time.monotonic):
        self._now, self._began = now, now()

    @property
    def seconds(self) -> float:
        return self._now() - self._began

    @contextmanager
    def held(self) -> Iterator[None]:
        """Does not count the block."""
        since = self._now()
        yield
        self._began += self._now() - since


def crossing(points: Points, goal: float) -> tuple[int, float] | None:
    """(steps, seconds) at the first evaluation within `goal` of exact Bayes; None: there is none."""
    return next(((steps, seconds) for steps, seconds, excess in points if excess <= goal), None)


@dataclass(frozen=True)
class Lane:
    """The curves of one process: seconds from its launch to its first group, then the groups, one after the other.

    The seconds of a group's points count from its own beginning.
    """

    start: float
    groups: list[dict[int, Points]]


@dataclass(frozen=True)
class Arrival:
    """When a seed was within an excess, in seconds from the launch; or, if it never was, when it was given up."""

    steps: int
    seconds: float
    reached: bool


def arrivals(lanes: Sequence[Lane], goal: float) -> dict[int, Arrival]:
    """When each seed is within `goal`, if a group of a lane makes room for the next as soon as all its seeds are."""
    found = {}
    for lane in lanes:
        free = lane.start
        for group in lane.groups:
            own = {seed: crossing(points, goal) or points[-1][:2] for seed, points in group.items()}
            for seed, (steps, seconds) in own.items():
                found[seed] = Arrival(steps, free + seconds, crossing(group[seed], goal) is not None)
            free += max(seconds for _, seconds in own.values())
    return found


Prepare = Callable[[list[int]], tuple[Callable[[], object], Callable[[], Sequence[float]]]]
"""seeds of a group -> (trains it for EVERY steps and waits for them, the excess of each seed)"""


def followed(
    prepare: Prepare, seeds: list[int], goal: float, seconds: float, steps: int, watch: Watch
) -> dict[int, Points]:
    """Trains a group until all its seeds are within `goal`, or its seconds or steps are over; evaluating is free."""
    advance, excess = prepare(seeds)
    curves: dict[int, Points] = {seed: [] for seed in seeds}
    done = 0
    while True:
        advance()
        done += EVERY
        spent = watch.seconds
        with watch.held():
            for points, found in zip(curves.values(), excess(), strict=True):
                points.append((done, spent, found))
        within = all(crossing(points, goal) for points in curves.values())
        if within or spent >= seconds or done >= steps:
            return curves


def work(prepare: Prepare) -> None:
    """A worker's whole life: the job is its argument, as JSON; the lane is what it prints."""
    job = json.loads(sys.argv[1])
    start = time.monotonic() - job["launched"]
    limits = job["goal"], job["seconds"], job["steps"]
    print(json.dumps([start, [followed(prepare, seeds, *limits, Watch()) for seeds in job["groups"]]]))


def read_lane(printed: str) -> Lane:
    """The lane that a worker printed."""
    start, groups = json.loads(printed)
    return Lane(start, [{int(seed): [*map(tuple, points)] for seed, points in group.items()} for group in groups])
