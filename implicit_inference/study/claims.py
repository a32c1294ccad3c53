"""Claims, judged by intervals over seeds: supported, refuted, undecided, or not asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from implicit_inference.measure.formulas import Estimate
from implicit_inference.show.notation import mean_text
from implicit_inference.study.results import Results

Claim = tuple[str, Sequence[Estimate], str]
"""(claim, effects that are all above 0 if it holds, numbers); an effect is what lies beyond its benchmark"""

LEVEL = 0.05
SUPPORTED, REFUTED, UNDECIDED, NOT_ASKED = "supported", "refuted", "undecided", "not asked"


@dataclass(frozen=True)
class Finding:
    """One claim, its verdict, the effects with their intervals, and the numbers in words."""

    claim: str
    verdict: str
    effects: list[tuple[float, float, float]]
    """(mean, low, high) of the 95 % interval over seeds"""
    numbers: str
    comparisons: int
    """The number of claims that the verdict was corrected for, by `judged`; 1: none"""


def as_text(estimate: Estimate) -> str:
    """mean ± standard error over seeds, as text."""
    return mean_text(estimate.mean, estimate.stderr) if np.isfinite(estimate.mean) else "undefined"


def listed(results: Results, names: Mapping[str, Any], join: str = ", ", by: str = "quantity", **labels: Any) -> str:
    """Writes `name mean ± standard error` of several estimates; `names`: name -> the value of the column `by`."""
    return join.join(f"{name} {as_text(results.estimate(**labels, **{by: value}))}" for name, value in names.items())


def judged(claims: Sequence[Claim], units: int, primary: bool = False) -> list[Finding]:
    """Judges the claims of an experiment, whose effects are means of so many independent values, the units.

    Supported: the 95 % intervals of all effects lie above 0 (Student's t over units, two-sided). Refuted: one of them
    lies below 0. Undecided: else, or where an effect is undefined. Not asked: a description without an effect. Primary
    claims are one family: supported ones must stand Holm's correction (1979), too: from the smallest p on, the i-th of
    m at p <= LEVEL / 2 / (m - i + 1), up to the first that does not.
    """
    effects = [[interval(estimate, units) for estimate in estimates] for _, estimates, _ in claims]
    verdicts = [_verdict(found) for found in effects]
    asked = [i for i, verdict in enumerate(verdicts) if verdict != NOT_ASKED]
    if primary:
        p = {i: max(p_value(estimate, units) for estimate in claims[i][1]) for i in asked}
        stands = True
        for rank, i in enumerate(sorted(asked, key=p.__getitem__)):
            stands = stands and p[i] <= LEVEL / 2 / (len(asked) - rank)
            if verdicts[i] == SUPPORTED and not stands:
                verdicts[i] = UNDECIDED
    comparisons = len(asked) if primary else 1
    return [
        Finding(claim, verdict, found, numbers, comparisons)
        for (claim, _, numbers), verdict, found in zip(claims, verdicts, effects, strict=True)
    ]


def _verdict(effects: Sequence[tuple[float, float, float]]) -> str:
    if not effects:
        return NOT_ASKED
    if any(high < 0 for _, _, high in effects):
        return REFUTED
    return SUPPORTED if all(low > 0 for _, low, _ in effects) else UNDECIDED


def interval(estimate: Estimate, seeds: int) -> tuple[float, float, float]:
    """(mean, low, high) of the 95 % interval of a mean over seeds: Student's t, two-sided; nan for one seed."""
    from scipy import stats  # which takes a second to import

    reach = float(stats.t.isf(LEVEL / 2, seeds - 1)) * estimate.stderr if seeds > 1 else float("nan")
    return estimate.mean, estimate.mean - reach, estimate.mean + reach


def p_value(estimate: Estimate, seeds: int) -> float:
    """The p-value of a mean over seeds being positive: Student's t, one-sided."""
    from scipy import stats  # which takes a second to import

    return float(stats.t.sf(estimate.mean / estimate.stderr, seeds - 1)) if estimate.stderr > 0 else 1.0
