"""Many runs for one question: a list of config overrides -> finished runs -> one table with what varied as columns."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from implicit_inference.config import memory
from implicit_inference.config.changes import override
from implicit_inference.config.fields import Config
from implicit_inference.config.identity import run_id
from implicit_inference.runs.runtime import pinned
from implicit_inference.runs.store import Record, Run
from implicit_inference.training.loop import Trained, train_stage
from implicit_inference.training.watching import Progress

Variant = Mapping[str, Any]
"""Fields that differ from the base, by dotted path."""
Count = Callable[[float, str], None]
"""(fraction of the training that is done, what goes on)"""


def sweep(
    base: Config,
    variants: Sequence[Variant],
    stages: Sequence[str],
    measure: Callable[[Trained], list[Record]],
    runs: Path,
    report: Count,
) -> list[Record]:
    """Bring every variant's stages to their end and measure each; the rows of all, with the varied fields as columns.

    What is finished is skipped and what was interrupted resumes. Variants share what they have in common, since a
    run is named after all that it depends on. A wrong override is refused before anything is trained.
    """
    configs = [override(base, variant) for variant in variants]
    for config in configs:
        memory.check(config, stages)
    costs = unfinished(configs, stages, runs)
    total, done, records = sum(costs.values()), 0.0, []
    for config, varied in zip(configs, varied_fields(configs, variants), strict=True):
        trained = Trained.of(config, runs)
        name = ", ".join(f"{path} {value}" for path, value in varied.items()) or "base"
        for stage in stages:
            cost = costs.pop(run_id(stage, config), 0.0)

            def count(progress: Progress, done: float = done, cost: float = cost, name: str = name) -> None:
                part = cost * progress.step / progress.steps if cost else 0.0
                report((done + part) / total if total else 1.0, f"{progress.stage} {name}")

            train_stage(trained, stage, count)
            done += cost
        report(done / total if total else 1.0, f"measuring {name}")
        with pinned():
            records += [varied | record for record in measure(trained)]
    return records


def unfinished(configs: Sequence[Config], stages: Sequence[str], runs: Path) -> dict[str, float]:
    """run id -> training cost of all that is not finished, each once: prompts seen times size of the network."""
    costs = {}
    for config in configs:
        for stage in stages:
            name = run_id(stage, config)
            if not Run(runs / name).finished:
                costs[name] = memory.work(config, stage)
    return costs


def varied_fields(configs: Sequence[Config], variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """For each configuration, the value of every field that any variant names."""
    paths = list(dict.fromkeys(path for variant in variants for path in variant))
    return [{path: reduce(getattr, path.split("."), config) for path in paths} for config in configs]
