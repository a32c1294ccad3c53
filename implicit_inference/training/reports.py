"""Where a stage of training is, as told while it goes on."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a stage is: steps done of all, and the loss of the network and of exact Bayes by family of prompts."""

    stage: str
    step: int
    steps: int
    losses: dict[str, tuple[float, float]]


Report = Callable[[Progress], None]
