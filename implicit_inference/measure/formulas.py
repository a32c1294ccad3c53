"""Formulas of what is measured: averages over positions, standard errors, forgetting, recovered fraction.

Arrays are NumPy, float64; the first axis is seeds unless as_text otherwise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from implicit_inference.bayes.attribution import GATE_EDGES, one_shape

Values = NDArray[np.float64]
RANGES = ("all", "early", "late")
"""The ranges of positions; see `positions`."""

CLOSENESS_EDGES = (-64.0, -32.0, -16.0, -8.0, -4.0, -2.0, 0.0, 2.0)
"""Bin edges of the closeness of a prompt's past to the preferred family: its log odds against the forgotten one."""


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error over seeds; `stderr` is nan for a single seed."""

    mean: float
    stderr: float


def positions(name: str, early: int, length: int) -> slice:
    """Zero-based positions of a range: the number of exemplars in context.

    early: 1 .. `early`, the empty context apart; late: the second half; all: 1 .. K-1.
    """
    ranges = {
        "early": slice(1, min(early, length - 1) + 1),
        "late": slice(length // 2, length),
        "all": slice(1, length),
    }
    return ranges[name]


def _alike(**arrays: Any) -> list[Values]:
    """The arrays in float64; raises ValueError, which names them, unless they have one shape."""
    one_shape(**arrays)
    return [np.asarray(values, np.float64) for values in arrays.values()]


def over_seeds(values: Values) -> Estimate:
    """Mean and standard error of independent values, one a seed [S]; nan if one of them is, and for no seeds."""
    n = len(values)
    if not n:
        return Estimate(float("nan"), float("nan"))
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan"))


def ratio(numerator: Values, denominator: Values) -> Estimate:
    """mean(numerator) / mean(denominator) over seeds [S], with the jackknife standard error over seeds.

    Both are nan if one of the values is, and for no seeds. Raises ValueError if the shapes differ.
    """
    numerator, denominator = _alike(numerator=numerator, denominator=denominator)
    n = len(numerator)
    if not n:
        return Estimate(float("nan"), float("nan"))
    value = float(np.mean(numerator) / np.mean(denominator))
    if n == 1:
        return Estimate(value, float("nan"))
    left_out = (np.sum(numerator) - numerator) / (np.sum(denominator) - denominator)
    return Estimate(value, float(np.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2))))


def jackknife(statistic: Callable[..., float], *values: Values) -> Estimate:
    """Estimates a statistic of values [S, ...] of independent seeds; the standard error is the jackknife's."""
    n = len(values[0])
    whole = float(statistic(*values))
    if n < 2:
        return Estimate(whole, float("nan"))
    left_out = np.array([statistic(*(np.delete(v, s, axis=0) for v in values)) for s in range(n)])
    return Estimate(whole, float(np.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2))))


def significant(estimate: Estimate) -> bool:
    """More than two standard errors above zero; never so for an estimate or a standard error of nan."""
    return bool(estimate.mean > 2 * estimate.stderr)


def recovered_fraction(pretrained: Values, finetuned: Values, recovered: Values) -> Estimate | None:
    """(L_ft - L_recovered) / (L_ft - L_pre), losses by seed [S]: 0 = nothing returned, 1 = the pretrained loss.

    A ratio of means over seeds; nan if a loss is. None where the forgetting L_ft - L_pre is not significantly positive.
    Raises ValueError if the shapes differ.
    """
    pretrained, finetuned, recovered = _alike(pretrained=pretrained, finetuned=finetuned, recovered=recovered)
    return share(finetuned - recovered, finetuned - pretrained)


def share(part: Values, whole: Values) -> Estimate | None:
    """mean(part) / mean(whole) over seeds [S]; nan if one of the values is.

    None where the whole is not significantly positive. Raises ValueError if the shapes differ.
    """
    part, whole = _alike(part=part, whole=whole)
    if np.any(np.isnan(part + whole)):
        return Estimate(float("nan"), float("nan"))
    return ratio(part, whole) if significant(over_seeds(whole)) else None


def net_recovery(before: Values, after: Values, before_conjugated: Values, after_conjugated: Values) -> Estimate | None:
    """1 - (L_after,s - L_before,s) / (L_after - L_before), losses by seed [S]: recovery net of what s costs everyone.

    Undefined (None) and nan as `recovered_fraction`.
    """
    return recovered_fraction(
        before, after, after_conjugated + (before - before_conjugated)
    )  # exactly 0 where nothing moves


def recovery_above(
    before: Values,
    after: Values,
    before_control: Values,
    after_control: Values,
    before_moved: Values,
    after_moved: Values,
) -> Estimate | None:
    """The net recovery of a conjugation less that of a control, losses by seed [S], both as in `net_recovery`.

    Undefined (None) and nan as `recovered_fraction`.
    """
    gaps = _alike(a=after_control, b=before_control, c=after_moved, d=before_moved)
    return share(gaps[0] - gaps[1] - gaps[2] + gaps[3], np.asarray(after, np.float64) - before)


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
    second are the exact predictions under either family. Of an exact mixture it
    is the posterior probability of `first`, averaged with weights (first - second)^2. All arrays have one shape, of
    prompts and positions; to gate a conjugated predictor, conjugate first and second too, and keep the log odds.
    Bin b is [edges[b-1], edges[b]), open at both ends: B = len(edges) + 1. A bin with fewer than two predictions, with
    first = second throughout or with a number that is not finite in it has coefficient nan. Log odds of nan are in no
    bin and might be in any: n does not count them, and every coefficient is nan. The standard error is the
    heteroscedastic one of least squares (White 1980) and takes predictions as independent. Raises ValueError if the
    shapes differ.
    """
    given = _alike(predictions=predictions, first=first, second=second, log_odds=log_odds)
    *exact, log_odds = (values.ravel() for values in given)
    predictions, first, second = (np.where(np.isfinite(values), values, np.nan) for values in exact)
    target, direction, known = predictions - second, first - second, ~np.isnan(log_odds)
    bins, size = np.digitize(log_odds, edges), len(edges) + 1

    def total(values: Values) -> Values:
        return np.bincount(bins, values, size).astype(np.float64)

    n, power = np.bincount(bins[known], minlength=size), total(direction**2)
    usable = (n > 1) & (power > 0) & known.all()
    power = np.where(usable, power, np.nan)
    coefficient = total(target * direction) / power
    errors = target - np.where(np.isfinite(coefficient), coefficient, 0.0)[bins] * direction
    return Gate(coefficient, np.sqrt(total((errors * direction) ** 2)) / power, n)


class RankCorrelation(NamedTuple):
    """Kendall's tau-b and Spearman's rho, both in [-1, 1]; nan if either ranking is constant or holds a nan."""

    kendall: float
    spearman: float


def rank_correlation(predicted: Values, measured: Values) -> RankCorrelation:
    """Tells how far two lists [C] order the same C >= 2 things alike: 1 = in one order, -1 = in reverse.

    Ties share ranks. Raises ValueError if they are not two lists of one length >= 2.
    """
    from scipy import stats  # takes seconds

    lists = _alike(predicted=predicted, measured=measured)
    if lists[0].ndim != 1 or len(lists[0]) < 2:
        raise ValueError(f"lists of at least 2 are expected, not predicted and measured {lists[0].shape}")
    if any(len(np.unique(values)) < 2 for values in lists):
        return RankCorrelation(float("nan"), float("nan"))
    return RankCorrelation(
        *(float(correlation(*lists).statistic) for correlation in (stats.kendalltau, stats.spearmanr))
    )


class Calibration(NamedTuple):
    """A line through measured against predicted values: its slope, and the fraction of the variance it explains."""

    slope: Estimate
    r2: Estimate


def calibration(predicted: Values, measured: Values) -> Calibration | None:
    """Tells how far predicted net recoveries are the measured ones, over C conjugations.

    Both are rises [S, 1 + C]: the loss after less the loss before, as the prompts are and under each conjugation. The
    net recovery of a conjugation is 1 - mean rise under it / mean rise as they are; the line is that of least squares.
    Standard errors are of the jackknife over seeds. None where a rise as they are is not significantly positive, and
    below three conjugations. Raises ValueError if the shapes differ.
    """
    rises = _alike(predicted=predicted, measured=measured)
    n, size = rises[0].shape
    if size < 4 or not all(significant(over_seeds(rise[:, 0])) for rise in rises):
        return None

    def line(chosen: Any) -> Values:
        x, y = (1 - rise[chosen].mean(axis=0)[1:] / rise[chosen, 0].mean() for rise in rises)
        (xx, xy), (_, yy) = np.cov(x, y)
        return np.array([xy / xx, xy**2 / (xx * yy)]) if xx * yy > 0 else np.full(2, np.nan)

    whole, left_out = line(slice(None)), np.array([line(np.arange(n) != s) for s in range(n)])
    spread = np.sqrt((n - 1) / n * np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0))
    return Calibration(*(Estimate(float(value), float(stderr)) for value, stderr in zip(whole, spread, strict=True)))
