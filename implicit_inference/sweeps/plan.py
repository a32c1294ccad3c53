"""A sweep as jobs: what every run needs, what exists, what several runs share, and what all of it will cost."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from implicit_inference.config import memory
from implicit_inference.config.changes import changed
from implicit_inference.config.errors import UserError, counted
from implicit_inference.config.fields import Config
from implicit_inference.config.identity import parents_of, rests_on, run_id
from implicit_inference.config.stages import STAGES
from implicit_inference.runs.store import Run, StoreError, runs_of
from implicit_inference.sweeps.axes import Sweep, Variant

PROCESS = 2**30
"""Bytes of a job beside its arrays: Python, JAX, compiled programs."""

SAMPLE = 50
"""Finished runs of a stage that tell how long it takes."""


@dataclass(frozen=True)
class Job:
    """One process: stages of one configuration, and the jobs that must have ended before it starts."""

    variant: Variant
    """The configuration, by what it changes at the sweep's start."""
    stages: tuple[str, ...]
    needs: tuple[str, ...]
    work: float
    """The training that it does, in the units of `memory.work`."""


@dataclass
class Plan:
    """All that a sweep has to do."""

    sweep: Sweep
    runs: Path
    jobs: dict[str, Job] = field(default_factory=dict)
    """By the name of the last run that each makes, in an order in which they can be done."""
    variants: int = 0
    existing: int = 0
    """Variants with nothing left to do."""
    memory: int = PROCESS
    """Bytes of the largest job."""
    left: dict[str, float] = field(default_factory=dict)
    """stage -> the work that is left, in the units of `memory.work`."""

    @classmethod
    def of(cls, sweep: Sweep, runs: Path) -> "Plan":
        """Looks at what exists; raises ConfigError for a run that this machine has not the memory for."""
        plan, shared, finished = cls(sweep, runs), Counter[str](), dict[str, bool]()
        needed = [names_of(config, sweep.stages) for config in sweep.configs()]
        for names in needed:
            shared.update(names.values())
        for variant, config, names in zip(sweep.variants(), sweep.configs(), needed, strict=True):
            memory.check(config, names)
            plan.memory = max(plan.memory, PROCESS + sum(memory.needed(config, names).values()))
            for name in names.values():
                if name not in finished:
                    finished[name] = _is_finished(Run(runs / name))
            left = {stage: name for stage, name in names.items() if not finished[name]}
            plan.variants += 1
            plan.existing += not left
            plan._add(variant, config, left, shared)
        return plan

    def _add(self, variant: Variant, config: Config, left: dict[str, str], shared: Counter[str]) -> None:
        """Adds the jobs of one run: one for each stage that other runs need, too, and one for all the rest."""
        alone = tuple(stage for stage, name in left.items() if shared[name] == 1)
        groups = [(stage,) for stage in left if stage not in alone] + [alone] * bool(alone)
        for stages in groups:
            if (id := left[stages[-1]]) not in self.jobs:
                parents = {parent for stage in stages for parent in parents_of(stage, config)} - set(stages)
                needs = tuple(left[parent] for parent in STAGES if parent in parents and parent in left)
                for stage in stages:
                    self.left[stage] = self.left.get(stage, 0.0) + memory.work(config, stage)
                self.jobs[id] = Job(variant, stages, needs, sum(memory.work(config, stage) for stage in stages))

    def config(self, job: Job) -> Config:
        """The configuration of a job."""
        return changed(self.sweep.start, job.variant)

    def told(self, places: int) -> str:
        """Says how much there is to do: runs, how many exist, time and memory with at most `places` jobs at once."""
        lines = [f"{counted(self.variants, 'run')}, of which {self.existing} exist; {counted(len(self.jobs), 'job')}"]
        if self.jobs:
            seconds, at_once = self.seconds(), min(places, len(self.jobs))
            each = f"{self.memory / memory.GIB:.2g} GiB of memory a job"
            whole = f"{at_once * self.memory / memory.GIB:.2g} in all"
            lines.append(f"{counted(at_once, 'job')} at once, about {each}, {whole}")
            if seconds is None:
                lines.append("time: not known until a run of each stage has finished here")
            else:
                lines.append(f"time: about {timedelta(seconds=round(seconds / at_once))}, by finished runs")
        return "\n".join(lines)

    def seconds(self) -> float | None:
        """Seconds of the work that is left, one job after the other, by finished runs; None if any stage has none."""
        total = 0.0
        for stage, work in self.left.items():
            if (pace := _pace(self.runs, stage)) is None:
                return None
            total += pace * work
        return total


def names_of(config: Config, stages: Collection[str]) -> dict[str, str]:
    """stage -> the name of its run, of these stages and all that they rest on, in order."""
    return {stage: run_id(stage, config) for stage in rests_on(stages, config)}


def _is_finished(run: Run) -> bool:
    """Whether a run is finished; the job of one that cannot be read will tell why."""
    try:
        return run.finished
    except StoreError:
        return False


def _pace(runs: Path, stage: str) -> float | None:
    """Seconds that a unit of work of a stage has taken in finished runs that were not interrupted, if there are any."""
    seconds = work = 0.0
    for run in runs_of(runs, stage)[:SAMPLE]:
        try:
            if not run.finished:
                continue
            environment = run.read_json("env.json")
            if not environment["resumed"]:
                seconds += environment["wall_seconds"]
                work += memory.work(run.config(), stage)
        except (UserError, LookupError, TypeError):
            continue
    return seconds / work if work else None
