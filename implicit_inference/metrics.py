"""Formulas of what is measured: averages over positions, standard errors, forgetting, recovered fraction.

Arrays are NumPy, float64; the first axis is seeds unless said otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
CLOSENESS_EDGES = (-64.0, -32.0, -16.0, -8.0, -4.0, -2.0, 0.0, 2.0)
"""Bin edges of the closeness of a prompt's past to the discrete set: its log evidence ratio to the Gaussian prior."""

GATE_EDGES = (-32.0, -16.0, -8.0, -4.0, -2.0, 0.0, 2.0, 4.0, 8.0)
"""Bin edges of the same where prompts of both families are looked at."""

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

    A ratio of means over seeds; nan if a loss is. None where the forgetting L_ft - L_pre is not significantly positive.
    """
    forgetting = finetuned - pretrained
    if np.any(np.isnan(forgetting + recovered)):
        return Estimate(float("nan"), float("nan"))
    return ratio(finetuned - recovered, forgetting) if significant(over_seeds(forgetting)) else None


def shrinkage(predictions: Values, targets: Values) -> Values:
    """The factor 1/c, for each seed and position [S, K], for which predictions / c [S, prompts, K] are closest."""
    return np.sum(predictions * targets, axis=1) / np.maximum(np.sum(predictions**2, axis=1), TINY)


class Gate(NamedTuple):
    """An effective gate by bin [B]: the coefficient, its standard error, and the number of predictions n."""

    coefficient: Values
    stderr: Values
    n: NDArray[np.int64]


def effective_gate(
    predictions: Values, first: Values, second: Values, log_odds: Values, edges: Sequence[float] = GATE_EDGES
) -> Gate:
    """The weight that a predictor seems to give to `first`, by bins of how well the past fits it.

    In each bin, the least-squares coefficient c of predictions - second = c (first - second) + error, where first and
    second are the exact predictions under either family (the discrete posterior and ridge). Of an exact mixture it
    is the posterior probability of `first`, averaged with weights (first - second)^2. All arrays have one shape, of
    prompts and positions; to gate a conjugated predictor, conjugate first and second too, and keep the log odds.
    Bin b is [edges[b-1], edges[b]), open at both ends: B = len(edges) + 1. A bin with fewer than two predictions, with
    first = second throughout or with a nan in it has coefficient nan; log odds of nan may be in any bin. The standard
    error is the heteroscedastic one of least squares (White 1980) and takes predictions as independent. Raises
    ValueError if the shapes differ.
    """
    if len({np.shape(x) for x in (predictions, first, second, log_odds)}) > 1:
        raise ValueError("predictions, first, second and log_odds must have one shape")
    target, direction = (np.asarray(x, np.float64).ravel() for x in (predictions - second, first - second))
    bins, size = np.digitize(np.ravel(log_odds), edges), len(edges) + 1

    def total(values: Values) -> Values:
        return np.bincount(bins, values, size).astype(np.float64)

    target = np.where(np.isnan(log_odds).any(), np.nan, target)  # a prediction of no known bin is of any
    n, power = np.bincount(bins, minlength=size), total(direction**2)
    usable = (n > 1) & (power > 0)
    power = np.where(usable, power, np.nan)
    coefficient = total(target * direction) / power
    errors = target - np.where(np.isfinite(coefficient), coefficient, 0.0)[bins] * direction
    return Gate(coefficient, np.sqrt(total((errors * direction) ** 2)) / power, n)


class Attribution(NamedTuple):
    """A forgetting in two parts that add up to it; arrays of one shape, or estimates over seeds."""

    forgetting: Any
    inference_shift: Any
    capability_loss: Any


def attribution(before: Any, after: Any, exact_before: Any, exact_after: Any) -> Attribution:
    """What of a rise of the loss an ideal learner would show whose prior odds shift as the network's seem to.

    forgetting = after - before; inference shift = exact_after - exact_before; capability loss = the rest.
    `before` and `after` are losses of the network on Gaussian prompts, best as mean squared distances to ridge: on
    these prompts E(f - y)^2 = E(f - ridge)^2 + E(ridge - y)^2 for every predictor f, and the last term cancels.
    `exact_before` and `exact_after` are the same of the exact mixtures with the effective priors. Arrays of one shape.
    """
    forgetting, shift = after - before, exact_after - exact_before
    return Attribution(forgetting, shift, forgetting - shift)


class RankCorrelation(NamedTuple):
    """Kendall's tau-b and Spearman's rho, both in [-1, 1]; nan if either ranking is constant."""

    kendall: float
    spearman: float


def rank_correlation(predicted: Values, measured: Values) -> RankCorrelation:
    """How far two lists [C] order the same C >= 2 things alike: 1 = in one order, -1 = in reverse; ties share ranks.

    tau-b = sum_ij s_ij t_ij / sqrt(sum_ij s_ij^2 sum_ij t_ij^2), s_ij = sign(predicted_i - predicted_j), t_ij the same
    of `measured`; rho is the correlation of the ranks. Raises ValueError if they are not two lists of one length >= 2.
    """
    if np.ndim(predicted) != 1 or np.shape(predicted) != np.shape(measured) or len(predicted) < 2:
        raise ValueError("predicted and measured must be lists of one length, at least 2")
    signs = [np.sign(np.subtract.outer(values, values)) for values in (predicted, measured)]
    ranks = [sign.sum(axis=1) for sign in signs]  # twice the rank, centred
    return RankCorrelation(_cosine(*signs), _cosine(*ranks))


def _cosine(a: Values, b: Values) -> float:
    length = float(np.sqrt(np.sum(a**2) * np.sum(b**2)))
    return float(np.sum(a * b)) / length if length else float("nan")
