"""The driver: hands jobs to an engine in order, tries lost ones again, and goes on where one fails."""

import json
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from implicit_inference.config.changes import plain
from implicit_inference.config.errors import counted
from implicit_inference.engines.engine import Engine
from implicit_inference.engines.processes import Ended
from implicit_inference.sweeps.plan import Plan

TRIES = 3
"""How often a job is started that is killed before its end: it goes on from its last checkpoint."""

Count = Callable[[float, str], None]
"""(fraction of the work that is done, what goes on)"""


def drive(plan: Plan, engine: Engine, report: Count) -> dict[str, str]:
    """Brings the jobs of a plan to their end; returns {job: why it failed} of those that could not be."""
    waiting = {id: len(set(job.needs) & plan.jobs.keys()) for id, job in plan.jobs.items()}
    after, tries, failed = defaultdict[str, list[str]](list), defaultdict[str, int](int), dict[str, str]()
    for id, job in plan.jobs.items():
        for parent in job.needs:
            after[parent].append(id)
    ready, total = deque(id for id, parents in waiting.items() if not parents), sum(j.work for j in plan.jobs.values())
    running, done, finished = 0, 0.0, 0

    def end(ended: Ended) -> None:
        """Takes a job off the list, with all that rest on it if it failed."""
        nonlocal done, finished
        ends = [ended]
        while ends:
            id, fault, _ = ends.pop()
            if id in failed:
                continue
            done, finished = done + plan.jobs[id].work, finished + 1
            if fault is not None:
                failed[id] = fault
                ends += [Ended(child, f"rests on {id}, which failed") for child in after[id]]
                continue
            for child in after[id]:
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)

    def tell(what: str) -> None:
        faults = f", {len(failed)} failed" if failed else ""
        report(done / total if total else 1.0, f"{finished} of {counted(len(plan.jobs), 'job')}{faults}; {what}")

    tell("starting")
    while ready or running:
        while ready and running < engine.places:
            id = ready.popleft()
            engine.submit(id, _text(plan, id))
            tries[id] += 1
            running += 1
        for ended in engine.gather():
            running -= 1
            if ended.lost and tries[ended.id] < TRIES:
                ready.append(ended.id)
            else:
                end(ended._replace(fault=f"{ended.fault}, {TRIES} times") if ended.lost else ended)
            tell(f"{ended.id}: {ended.fault or 'finished'}")
    return failed


def _text(plan: Plan, id: str) -> str:
    """The job as the process reads it."""
    job = plan.jobs[id]
    content: dict[str, Any] = {"runs": str(plan.runs.absolute()), "stages": job.stages}
    return json.dumps(content | {"config": plain(plan.config(job))})
