"""Claims, judged: one family of comparisons an experiment, corrected for their number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from implicit_inference.measure.formulas import Estimate
from implicit_inference.show.notation import mean_text
from implicit_inference.study.results import Results

Claim = tuple[str, Sequence[Estimate], str]
"""(claim, the estimates that are all positive if it holds, numbers); no estimates where nothing is claimed"""

LEVEL = 0.05
VERDICTS = {True: "held", False: "NOT held", None: "open"}


@dataclass(frozen=True)
class Finding:
    """One claim and the numbers on it; `held` is None where nothing was claimed or the number is undefined."""

    claim: str
    held: bool | None
    numbers: str
    comparisons: int
    """The number of comparisons that it was corrected for, by `judged`."""


def as_text(estimate: Estimate) -> str:
    """mean ± standard error over seeds, as text."""
    return mean_text(estimate.mean, estimate.stderr) if np.isfinite(estimate.mean) else "undefined"


def listed(results: Results, names: Mapping[str, Any], join: str = ", ", by: str = "quantity", **labels: Any) -> str:
    """Writes `name mean ± standard error` of several estimates; `names`: name -> the value of the column `by`."""
    return join.join(f"{name} {as_text(results.estimate(**labels, **{by: value}))}" for name, value in names.items())


def judged(claims: Sequence[Claim], seeds: int) -> list[Finding]:
    """The findings of an experiment: its claims are one family of comparisons, corrected for their number (Holm 1979).

    One-sided t tests over seeds; a claim about several estimates has the largest of their p-values. From the smallest
    p on, the i-th of m holds at p <= LEVEL / (m - i + 1), up to the first that does not. Undefined ones do not count.
    """
    p = np.array([max((p_value(e, seeds) for e in estimates), default=np.nan) for _, estimates, _ in claims])
    defined = [bool(estimates) and all(np.isfinite(e.mean) for e in estimates) for _, estimates, _ in claims]
    order = [i for i in np.argsort(p) if defined[i]]
    passed = [bool(p[i] <= LEVEL / (len(order) - rank)) for rank, i in enumerate(order)]
    held = dict(zip(order, np.logical_and.accumulate(passed).tolist(), strict=True)) if order else {}
    return [Finding(claim, held.get(i), numbers, len(order)) for i, (claim, _, numbers) in enumerate(claims)]


def p_value(estimate: Estimate, seeds: int) -> float:
    """The p-value of a mean over seeds being positive: Student's t, one-sided."""
    from scipy import stats  # which takes a second to import

    return float(stats.t.sf(estimate.mean / estimate.stderr, seeds - 1)) if estimate.stderr > 0 else 1.0
