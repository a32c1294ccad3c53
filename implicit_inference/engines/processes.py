"""A job as a process of its own: started, pinned, given its text, and told how it ended.

The process reads one line, its job. Its standard input stays open as long as whoever started it lives; where that
ends, so does the job, which keeps its state.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from typing import NamedTuple

from implicit_inference.config.errors import one_line
from implicit_inference.runs.process import STOPS

COMMAND = (sys.executable, "-m", "implicit_inference.job")
"""The command line of a job."""

STOPPED = {128 + number for number in STOPS}
"""Exit codes of a job that was asked to end, and kept its state."""

LAST_WORDS = 4096
"""Bytes of a job's errors that are read: its last line says why it failed."""


class Ended(NamedTuple):
    """How a job ended: its id; why it failed, None if it did not; whether it was lost, and may be tried again."""

    id: str
    fault: str | None = None
    lost: bool = False


class Process:
    """One job, running."""

    def __init__(self, id: str, text: str, cores: Collection[int] = (), command: Sequence[str] = COMMAND):
        """Starts the job of a text; on these cores alone, if any are given and the system can pin processes."""
        self.id, self._errors = id, tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C at a terminal is for the driver, which ends its jobs
        )
        self.pid = self._process.pid
        with contextlib.suppress(BrokenPipeError, ProcessLookupError):  # killed already, as its exit status tells
            if cores and hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(self.pid, cores)  # before the job is told: its threads come later
            assert self._process.stdin
            self._process.stdin.write(text.encode() + b"\n")
            self._process.stdin.flush()

    def ended(self, wait: bool = False) -> Ended | None:
        """How the job ended; None while it runs, unless it is to be waited for."""
        code = self._process.wait() if wait else self._process.poll()
        if code is None:
            return None
        self._close()
        with self._errors as errors:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - LAST_WORDS))
            lines = errors.read().decode(errors="replace").strip().splitlines()
        if code == 0:
            return Ended(self.id)
        if code < 0:
            memory = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
            return Ended(self.id, f"killed by signal {-code} ({signal.strsignal(-code)}){memory}", lost=True)
        fault = one_line(lines[-1].removeprefix("implicit-inference: ") if lines else f"ended with exit code {code}")
        return Ended(self.id, fault, lost=code in STOPPED)

    def stop(self) -> None:
        """Asks the job to keep its state and end."""
        self._process.terminate()

    def kill_after(self, seconds: float) -> None:
        """Waits for the job's end; kills it if it takes longer."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()
        self._errors.close()

    def _close(self) -> None:
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()


def run(id: str, text: str, devices: int) -> Ended:
    """Runs a job to its end on the machine where this is called, which an engine shares out; JAX sees `devices`."""
    os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(devices))
    ended = Process(id, text).ended(wait=True)
    assert ended
    return ended
