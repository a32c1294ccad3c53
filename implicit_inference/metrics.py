"""Formulas of what is measured: averages over positions, standard errors, forgetting, recovered fraction.

Arrays are NumPy, float64; the first axis is seeds unless said otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
CLOSENESS_EDGES = (-64.0, -32.0, -16.0, -8.0, -4.0, -2.0, 0.0, 2.0)
"""Bin edges of the closeness of a prompt's past to the discrete set: its log evidence ratio to the Gaussian prior."""

TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error over seeds; `stderr` is nan for a single seed."""

    mean: float
    stderr: float


def positions(name: str, dim: int, length: int) -> slice:
    """Zero-based positions of a range: the number of exemplars in context.

    early: 1 .. dim, fewer exemplars than d+1, the empty context apart; late: the second half; all: 1 .. K-1.
    """
    ranges = {"early": slice(1, min(dim, length - 1) + 1), "late": slice(length // 2, length), "all": slice(1, length)}
    return ranges[name]


def over_seeds(values: Values) -> Estimate:
    """Mean and standard error of independent values, one a seed [S]."""
    n = len(values)
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan"))


def ratio(numerator: Values, denominator: Values) -> Estimate:
    """mean(numerator) / mean(denominator) over seeds [S], with the jackknife standard error over seeds."""
    n = len(numerator)
    value = float(np.mean(numerator) / np.mean(denominator))
    if n == 1:
        return Estimate(value, float("nan"))
    left_out = (np.sum(numerator) - numerator) / (np.sum(denominator) - denominator)
    return Estimate(value, float(np.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2))))


def significant(estimate: Estimate) -> bool:
    """More than two standard errors above zero."""
    return bool(estimate.mean > 2 * estimate.stderr)


def recovered_fraction(pretrained: Values, finetuned: Values, recovered: Values) -> Estimate | None:
    """(L_ft - L_recovered) / (L_ft - L_pre), losses by seed [S]: 0 = nothing returned, 1 = the pretrained loss.

    A ratio of means over seeds. None where the forgetting L_ft - L_pre is not significantly positive.
    """
    forgetting = finetuned - pretrained
    return ratio(finetuned - recovered, forgetting) if significant(over_seeds(forgetting)) else None


def shrinkage(predictions: Values, targets: Values) -> Values:
    """The factor 1/c, for each seed and position [S, K], for which predictions / c [S, prompts, K] are closest."""
    return np.sum(predictions * targets, axis=1) / np.maximum(np.sum(predictions**2, axis=1), TINY)
