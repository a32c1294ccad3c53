"""A sweep from its beginning to its end: told, done here or on an engine, gathered into one table and one page."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from implicit_inference.config import memory
from implicit_inference.engines.engine import Place
from implicit_inference.runs import runtime
from implicit_inference.runs.files import make, write_whole
from implicit_inference.sweeps.axes import Sweep
from implicit_inference.sweeps.driver import Count, drive
from implicit_inference.sweeps.plan import Plan


@dataclass(frozen=True)
class Outcome:
    """Tells of an ended sweep: the folder with its tables and its page, and what failed, with the reason."""

    folder: Path
    failed: dict[str, str]


def perform(sweep: Sweep, runs: Path, on: str | None, progress: bool, called: str = "runs") -> Outcome:
    """Brings every run of a sweep to its end and writes its table and its page; what is finished is skipped.

    `on`: the engine; None: in this process, one run after the other, where the first failure is raised. `progress`:
    whether to print what there is to do, and how far it is. `called`: the name that the user knows `runs` by. Raises
    UserError for an engine that cannot start and a directory that cannot be made, before anything is trained.
    """
    place = None if on is None else Place.of(on)
    plan, folder = Plan.of(sweep, runs), runs / sweep.id
    make(runs, called)
    engine = place.opened(len(plan.jobs), plan.memory, memory.available(), folder) if place and plan.jobs else None
    told, failed = plan.told(engine.places if engine else 1), dict[str, str]()
    if progress:
        print(told, flush=True)
    make(folder, called)
    for name, text in sweep.files().items():
        write_whole(folder / name, text.encode())
    if plan.jobs:
        from implicit_inference.show.terminal import sweep_progress

        with sweep_progress("sweep") if progress else nullcontext(lambda fraction, text: None) as report:
            if engine:
                try:
                    failed = drive(plan, engine, report)
                finally:
                    engine.close()
            else:
                _here(plan, report)
    from implicit_inference.show.notation import Notation
    from implicit_inference.sweeps import page, table

    points, unreadable = table.write(sweep, runs, folder)
    names = Notation.of(sweep.start)
    axes = [", ".join(map(names.field, axis.paths)) for axis in sweep.axes]
    page.write(folder / "report.html", axes, table.drawn_of(sweep), points, failed | unreadable, told)
    return Outcome(folder, failed | unreadable)


def _here(plan: Plan, report: Count) -> None:
    """Does all jobs in this process, one after the other."""
    runtime.prepare()
    from implicit_inference.measure.probe import probe
    from implicit_inference.training.loop import Trained
    from implicit_inference.training.sweep import sweep

    total, done = sum(job.work for job in plan.jobs.values()), 0.0
    for job in plan.jobs.values():

        def count(fraction: float, text: str, done: float = done, work: float = job.work) -> None:
            report((done + fraction * work) / total, text)

        def measure(trained: Trained, stages: tuple[str, ...] = job.stages) -> list[Any]:
            if "probe" in stages:
                probe(trained, lambda done, total: None)
            return []

        stages = [stage for stage in job.stages if stage != "probe"]
        sweep(plan.sweep.start, [job.variant], stages, measure, plan.runs, count)
        done += job.work
