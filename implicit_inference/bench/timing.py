"""Fair timings: contestants take turns, so that a machine's slow minutes fall on all of them."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

LEAST_ROUNDS = 3
"""Fewer say nothing of how a figure varies: they are run however long they take."""

Contestant = Callable[[], Any]
"""Does the work once and returns arrays to wait for."""


@dataclass(frozen=True)
class Times:
    """One piece of work in every round, in seconds; or the ratios of two such, round by round."""

    rounds: np.ndarray

    @property
    def median(self) -> float:
        return float(np.median(self.rounds))

    def as_text(self, scale: float = 1e3) -> str:
        """`median (lower quartile-upper quartile)`, in milliseconds unless told."""
        low, middle, high = np.quantile(self.rounds, (0.25, 0.5, 0.75)) * scale
        return f"{middle:.3g} ({low:.3g}-{high:.3g})"

    def over(self, other: "Times") -> str:
        """How many times as long as `other`, with its quartiles."""
        return Times(self.rounds / other.rounds).as_text(1.0)


def take_turns(
    contestants: Mapping[str, Contestant], rounds: int, units: int = 1, seconds: float = math.inf
) -> dict[str, Times]:
    """Times each contestant for one of the `units` of work that a call does; a first call is not counted.

    Of the `rounds` only those are run that end within `seconds` of now, first calls included; LEAST_ROUNDS in any case.
    """
    began = time.perf_counter()
    for contestant in contestants.values():
        jax.block_until_ready(contestant())
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    first = time.perf_counter()
    for done in range(rounds):
        now = time.perf_counter()
        if done >= LEAST_ROUNDS and now + (now - first) / done > began + seconds:
            break
        for name, contestant in contestants.items():
            start = time.perf_counter()
            jax.block_until_ready(contestant())
            taken[name].append((time.perf_counter() - start) / units)
    return {name: Times(np.array(found)) for name, found in taken.items()}


class Clock:
    """Shares out a time among parts of a work: each may take an equal share of what those before it have left."""

    def __init__(self, seconds: float, parts: int):
        self._end, self._parts = time.perf_counter() + seconds, parts

    def share(self) -> float:
        """Gives the seconds that the next part may take."""
        left = max(0.0, self._end - time.perf_counter()) / self._parts
        self._parts -= 1
        return left
