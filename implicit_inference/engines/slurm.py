"""The engine on a Slurm cluster, through submitit: every job is one of Slurm's."""

import math
import time
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, UncompletedJobError

from implicit_inference.config.errors import UserError
from implicit_inference.config.memory import GIB
from implicit_inference.engines.processes import Ended, run

CORES = 1
"""Cores of a job."""

PLACES = 500
"""Jobs in the queue at once."""

POLL = 1.0
"""Seconds between two looks at the queue."""

MINUTES = 24 * 60
"""The time limit of a job, unless SBATCH_TIMELIMIT gives another."""


class Slurm:
    """Submits each job, which runs a process; a job that Slurm ends without a result is lost."""

    places = PLACES

    def __init__(self, executor: Any):
        self._executor = executor
        self._running: list[tuple[str, Any]] = []

    def submit(self, id: str, text: str) -> None:
        """Hands a job to the queue."""
        self._running.append((id, self._executor.submit(run, id, text, CORES)))

    def gather(self) -> list[Ended]:
        """Waits until a job has ended; tells how."""
        while self._running:
            done = [(id, job) for id, job in self._running if job.done()]
            if done:
                self._running = [pair for pair in self._running if pair not in done]
                return [_ended(id, job) for id, job in done]
            time.sleep(POLL)
        return []

    def close(self) -> None:
        """Cancels all jobs that run or wait."""
        for _, job in self._running:
            job.cancel()
        self._running = []


def _ended(id: str, job: Any) -> Ended:
    try:
        ended: Ended = job.result()
    except FailedJobError as error:
        return Ended(id, f"Slurm job {job.job_id}: {(str(error).strip().splitlines() or ['failed'])[-1]}")
    except UncompletedJobError:
        return Ended(id, f"Slurm job {job.job_id} ended without a result ({job.state})", lost=True)
    return ended


def started(detail: str, memory: int, folder: Path, cluster: str = "slurm") -> Slurm:
    """Readies submitit; partition, account and time limit are those of sbatch's own variables, SBATCH_*."""
    try:
        executor = submitit.AutoExecutor(folder=folder / "slurm", cluster=cluster)
    except RuntimeError as error:
        raise UserError(f"on = 'slurm': {error}; start it where sbatch is") from error
    executor.update_parameters(
        name="implicit-inference", cpus_per_task=CORES, mem_gb=math.ceil(memory / GIB), timeout_min=MINUTES
    )
    return Slurm(executor)
