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
    """Seconds of one piece of work: median and quartiles over the rounds."""

    median: float
    low: float
    high: float

    def said(self, scale: float = 1e3) -> str:
        """`median (low-high)`, in milliseconds unless told."""
        return f"{self.median * scale:.3g} ({self.low * scale:.3g}-{self.high * scale:.3g})"


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
    quartiles = {name: np.quantile(found, (0.5, 0.25, 0.75)) for name, found in seconds.items()}
    return {name: Times(*(float(q) for q in found)) for name, found in quartiles.items()}
