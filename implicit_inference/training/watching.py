"""Watching a stage train: how far it is, the losses at its evaluations as rows, the end where a loss is no number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from implicit_inference.config.errors import UserError
from implicit_inference.config.fields import TrainingConfig
from implicit_inference.runs.store import Record


@dataclass(frozen=True)
class Progress:
    """Where a stage is: steps done of all, and the loss of the network and of exact Bayes by family of prompts."""

    stage: str
    step: int
    steps: int
    losses: dict[str, tuple[float, float]]


Report = Callable[[Progress], None]


class TrainingDivergedError(UserError):
    """The loss stopped being a number; the last good state is kept."""

    exit_code = 1


def validation_records(seeds: tuple[int, ...], step: int, losses: dict[str, dict[str, np.ndarray]]) -> list[Record]:
    """One row for each seed of the losses [S] at a step, by predictor and family of prompts."""
    return [
        {"step": step, "seed": seed, "family": family, "predictor": predictor, "mean": float(loss[s])}
        for predictor, by_family in losses.items()
        for family, loss in by_family.items()
        for s, seed in enumerate(seeds)
    ]


def latest(records: list[Record]) -> dict[str, tuple[float, float]]:
    """The last losses of each family, of the network and of exact Bayes, averaged over seeds."""

    def mean(family: str, predictor: str) -> float:
        last = records[-1]["step"]
        chosen = [r["mean"] for r in records if (r["step"], r["family"], r["predictor"]) == (last, family, predictor)]
        return float(np.mean(chosen))

    families = dict.fromkeys(record["family"] for record in records if record["family"] != "finetuning")
    return {family: (mean(family, "network"), mean(family, "bayes")) for family in families}


def refuse_divergence(
    stage: str, training: TrainingConfig, seeds: Sequence[int], steps: Sequence[int], losses: np.ndarray, kept: int
) -> None:
    """Raises TrainingDivergedError unless all losses [S, steps] are finite; it names the first that is not."""
    bad = np.argwhere(~np.isfinite(losses))
    if len(bad):
        seed, first = bad[np.argmin(bad[:, 1])]
        raise TrainingDivergedError(
            f"{stage}: the loss is not finite at step {steps[first]} (seed {seeds[seed]}); "
            f"lower {stage}.learning_rate = {training.learning_rate:g} or {stage}.clip = {training.clip:g}; "
            f"the state after step {kept} is kept"
        )
