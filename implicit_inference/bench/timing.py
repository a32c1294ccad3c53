"""Fair timings: contestants take turns, so that a machine's slow minutes fall on all of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

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


def take_turns(contestants: Mapping[str, Contestant], rounds: int, units: int = 1) -> dict[str, Times]:
    """The times of each contestant for one of the `units` of work that a call does; a first call is not counted."""
    for contestant in contestants.values():
        jax.block_until_ready(contestant())
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            began = time.perf_counter()
            jax.block_until_ready(contestant())
            seconds[name].append((time.perf_counter() - began) / units)
    return {name: Times(np.array(found)) for name, found in seconds.items()}
