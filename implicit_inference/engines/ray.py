"""The engine on a Ray cluster, one that runs or one of this machine alone."""

from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from implicit_inference.config.errors import UserError, quoted
from implicit_inference.engines.processes import Ended, run

CORES = 1
"""Cores of a job."""


class Ray:
    """Runs each job as a task, which runs a process: where either is killed, or its node is gone, the job is lost."""

    def __init__(self, memory: int):
        resources = ray.cluster_resources()
        accelerators = 1 if resources.get("GPU") else 0
        self.places = max(1, int(resources.get("GPU" if accelerators else "CPU", 1)))
        self._task = ray.remote(run).options(
            num_cpus=CORES, num_gpus=accelerators, memory=memory, max_retries=0, name="implicit-inference"
        )
        self._running: dict[Any, str] = {}

    def submit(self, id: str, text: str) -> None:
        """Hands a job to the cluster."""
        self._running[self._task.remote(id, text, CORES)] = id

    def gather(self) -> list[Ended]:
        """Waits until a task has ended; tells how. Raises UserError where the cluster is gone."""
        if not self._running:
            return []
        try:
            ready, _ = ray.wait(list(self._running), num_returns=1)
        except (RayError, ConnectionError) as error:
            raise UserError(f"Ray: the cluster is gone ({type(error).__name__}); the same command resumes") from error
        return [self._ended(task) for task in ready]

    def _ended(self, task: Any) -> Ended:
        id = self._running.pop(task)
        try:
            ended: Ended = ray.get(task)
        except RayError as error:
            return Ended(id, f"Ray: {type(error).__name__}", lost=not isinstance(error, RayTaskError))
        return ended

    def close(self) -> None:
        """Ends all tasks, and with them their processes; leaves the cluster, which ends if this process started it."""
        for task in self._running:
            ray.cancel(task, force=True)
        ray.shutdown()


def started(address: str, memory: int, folder: Path) -> Ray:
    """Joins the cluster at an address, or the one that RAY_ADDRESS names, or starts one on this machine."""
    try:
        ray.init(address=address or None, log_to_driver=False, include_dashboard=None if address else False)
    except (RayError, ConnectionError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        text = f"ray:{address}" if address else "ray"
        raise UserError(f"on = {quoted(text)}: Ray does not start ({reason})") from error
    return Ray(memory)
