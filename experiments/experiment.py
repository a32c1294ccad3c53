"""Parts of every experiment: its scales, its command line, its table and its findings.

An experiment is a list of configurations, a measurement of each, and what its numbers say. Trained runs lie in one
directory and are shared by all experiments; the small table goes to figures/data/SCALE/NAME.csv, for the figure.
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from implicit_inference.runs import process, runtime

PROGRAM = Path(sys.argv[0])
if PROGRAM.resolve().parent == Path(__file__).resolve().parent:  # an experiment is what runs
    process.begin(f"experiments/{PROGRAM.name}")
    if code := process.run(f"experiments/{PROGRAM.name}", runtime.import_jax):
        sys.exit(code)

import numpy as np
from scipy import stats

from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.fields import Config
from implicit_inference.measure.formulas import Estimate, Values, over_seeds
from implicit_inference.measure.lookup import prior_odds
from implicit_inference.measure.rows import reduced
from implicit_inference.runs.files import write_whole
from implicit_inference.runs.store import Row
from implicit_inference.show.notation import estimate as as_text
from implicit_inference.show.notation import mean_text
from implicit_inference.show.terminal import sweep_progress
from implicit_inference.training.loop import Trained
from implicit_inference.training.sweep import Variant, sweep

ROOT = Path(__file__).parent.parent

SCALES: dict[str, Config] = {
    "smoke": override(
        PRESETS["smoke"],
        {"seeds": [0, 1, 2, 3], "finetune.keep_every": 5},
    ),
    "laptop": override(
        PRESETS["demo"], {"seeds": [0, 1, 2, 3], "pretrain.learning_rate": 2e-2, "finetune.keep_every": 1}
    ),
    "paper": override(PRESETS["paper"], {"finetune.keep_every": 4}),
}


@dataclass(frozen=True)
class Finding:
    """One claim and the numbers on it; `held` is None where nothing was claimed or the number is undefined."""

    claim: str
    held: bool | None
    numbers: str
    comparisons: int
    """Of the family that it was judged in, by `judged`."""


Claim = tuple[str, Sequence[Estimate], str]
"""(claim, the estimates that are all positive if it holds, numbers); no estimates where nothing is claimed"""


class Results:
    """The rows of all runs, looked up by their labels."""

    def __init__(self, rows: Sequence[Row]):
        self.rows = rows

    def where(self, **labels: Any) -> list[Row]:
        """The rows with these labels; dots of field names are written as double underscores."""
        wanted = {name.replace("__", "."): value for name, value in labels.items()}
        return [row for row in self.rows if all(row.get(name) == value for name, value in wanted.items())]

    def values(self, **labels: Any) -> Values:
        """[S]: the value of each seed, in their order; the labels must single out one row a seed."""
        rows = sorted((row for row in self.where(**labels) if "value" in row), key=lambda row: row["seed"])
        if not rows or len({row["seed"] for row in rows}) < len(rows):
            raise LookupError(f"{labels} match {len(rows)} rows")
        return np.array([row["value"] for row in rows])

    def estimate(self, **labels: Any) -> Estimate:
        """The mean over seeds, or the estimate that one row holds."""
        rows = self.where(**labels)
        if len(rows) == 1 and "mean" in rows[0]:
            return Estimate(rows[0]["mean"], rows[0]["stderr"])
        return over_seeds(self.values(**labels))

    def prior_odds(self, **labels: Any) -> str:
        """The prior log odds inferred by a predictor, as text; said where they have no limit."""
        parts = [
            np.array([row["mean"] for row in self.where(**labels, quantity=f"prior_{part}")])
            for part in ("logit", "bound")
        ]
        return as_text(prior_odds(*parts))

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return len(self.levels("seed"))

    def levels(self, name: str) -> list[Any]:
        """The values of a column, ascending."""
        return sorted({row[name] for row in self.rows if row.get(name) is not None})


@dataclass(frozen=True)
class Experiment:
    """One question: what is varied at each scale, what is measured of a trained, what is claimed of the rows."""

    name: str
    variants: Mapping[str, Sequence[Variant]]
    measure: Callable[[Trained], list[Row]]
    conclude: Callable[[Results], list[Claim]]
    stages: tuple[str, ...] = ("pretrain", "finetune")

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """The command line; the answer is printed, the table and the findings are stored."""
        parser = argparse.ArgumentParser(prog=f"experiments/{self.name}.py", allow_abbrev=False)
        parser.add_argument("--scale", choices=list(SCALES), default="smoke", help="default: smoke")
        parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="directory of all runs")
        parser.add_argument("--data", type=Path, default=ROOT / "figures" / "data", help="where the table goes")
        options = parser.parse_args(arguments)
        return process.run(f"experiments/{self.name}.py", lambda: self._run(options))

    def _run(self, options: argparse.Namespace) -> int:
        runtime.prepare()
        with sweep_progress(self.name) as report:
            variants = self.variants[options.scale]
            rows = sweep(SCALES[options.scale], variants, self.stages, self.measure, options.runs, report)
        results = Results(rows)
        findings = judged(self.conclude(results), results.seeds)
        store(options.data / options.scale, self.name, reduced(rows), findings)
        for finding in findings:
            among = f", one of {finding.comparisons} comparisons" if finding.comparisons > 1 else ""
            print(f"{VERDICTS[finding.held]}{among}: {finding.claim}\n    {finding.numbers}")
        print(f"table: {options.data / options.scale / self.name}.csv")
        return 0


VERDICTS = {True: "held", False: "NOT held", None: "open"}


def store(folder: Path, name: str, table: Sequence[Row], findings: Sequence[Finding]) -> None:
    """NAME.csv, five significant digits, and NAME.json with the findings."""
    columns = list(dict.fromkeys(column for row in table for column in row))
    lines = io.StringIO(newline="")
    writer = csv.DictWriter(lines, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({c: f"{x:.5g}" if isinstance(x, float) else x for c, x in row.items()} for row in table)
    write_whole(folder / f"{name}.csv", lines.getvalue().encode())
    text = json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False)
    write_whole(folder / f"{name}.json", (text + "\n").encode())


def said(estimate: Estimate) -> str:
    """mean ± standard error over seeds, as text."""
    return mean_text(estimate.mean, estimate.stderr) if np.isfinite(estimate.mean) else "undefined"


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


LEVEL = 0.05


def p_value(estimate: Estimate, seeds: int) -> float:
    """The p-value of a mean over seeds being positive: Student's t, one-sided."""
    return float(stats.t.sf(estimate.mean / estimate.stderr, seeds - 1)) if estimate.stderr > 0 else 1.0
