"""The local engine: a bounded pool of processes on this machine, each on cores of its own."""

import time
from collections.abc import Sequence

from implicit_inference.engines.processes import COMMAND, Ended, Process

POLL = 0.02
"""Seconds between two looks at the processes."""

PATIENCE = 30.0
"""Seconds in which a job that is asked to end keeps its state, before it is killed."""


class Local:
    """Runs each job as a process, pinned to its cores; a killed one is seen by its exit status."""

    def __init__(self, cores: Sequence[tuple[int, ...]], command: Sequence[str] = COMMAND):
        """Makes room for a process on each of these sets of cores."""
        self.places, self._free, self._command = len(cores), list(cores), command
        self._running: dict[str, tuple[Process, tuple[int, ...]]] = {}

    def submit(self, id: str, text: str) -> None:
        """Starts the process of a job on a set of cores that is free."""
        cores = self._free.pop()
        self._running[id] = Process(id, text, cores, self._command), cores

    def gather(self) -> list[Ended]:
        """Waits until a process has ended; tells how."""
        while self._running:
            found = [ended for process, _ in self._running.values() if (ended := process.ended())]
            if found:
                self._free += [self._running.pop(ended.id)[1] for ended in found]
                return found
            time.sleep(POLL)
        return []

    def close(self) -> None:
        """Asks every process to keep its state and end, and waits for it."""
        left = [process for process, _ in self._running.values()]
        for process in left:
            process.stop()
        until = time.monotonic() + PATIENCE
        for process in left:
            process.kill_after(max(0.0, until - time.monotonic()))
        self._running = {}
