"""One experiment: a question as configurations, a measurement of each, and claims about the numbers."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from implicit_inference.config.fields import Config
from implicit_inference.measure.lookup import finite
from implicit_inference.runs.files import write_whole
from implicit_inference.runs.store import Record
from implicit_inference.show.terminal import sweep_progress
from implicit_inference.study.claims import Claim, Finding, judged
from implicit_inference.study.results import Results, write_csv
from implicit_inference.training.loop import Trained
from implicit_inference.training.sweep import Variant, sweep


def effects(claims: Sequence[Claim], results: Results) -> Results:
    """The effects of claims, a row each: quantity `effect`."""
    numbers = {"quantity": "effect", "seeds": results.seeds, "n": int(max(results.levels("n")))}
    records = [
        numbers | {"claim": claim, "mean": estimate.mean, "stderr": estimate.stderr}
        for claim, estimates, _ in claims
        for estimate in estimates
    ]
    return Results(records)


@dataclass(frozen=True)
class Experiment:
    """One question: what is varied at each scale, what is measured of a variant, what is claimed of the rows."""

    name: str
    variants: Mapping[str, Sequence[Variant]]
    measure: Callable[[Trained], list[Record]]
    conclude: Callable[[Results], list[Claim]]
    stages: tuple[str, ...] = ("pretrain", "finetune")
    world: str = "regression"
    seeds: int = 0
    """So many seeds, from 0 on; 0: those of the scale"""
    primary: bool = False
    """Whether its claims are one family, corrected for their number"""
    units: Callable[[Results], int] = lambda results: results.seeds
    """The number of independent values of which an effect is the mean: seeds, or worlds of several seeds"""

    def run(self, base: Config, scale: str, runs: Path, data: Path) -> list[Finding]:
        """Trains what is missing, measures, judges; stores the table as data/NAME.csv, the findings as NAME.json.

        The table keeps one row a seed.
        """
        with sweep_progress(self.name) as report:
            records = sweep(base, self.variants[scale], self.stages, self.measure, runs, report)
        results = Results(records)
        claims = self.conclude(results)
        findings = judged(claims, self.units(results), self.primary)
        if self.primary:
            results = Results.joined([results, effects(claims, results)])
        write_csv(results, data / f"{self.name}.csv")
        text = json.dumps(finite([asdict(finding) for finding in findings]), indent=2, ensure_ascii=False)
        write_whole(data / f"{self.name}.json", (text + "\n").encode())
        return findings
