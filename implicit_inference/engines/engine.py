"""The interface of an engine, and which one a name stands for."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from implicit_inference.config.errors import ConfigError, UserError, quoted, refuse
from implicit_inference.engines.processes import Ended
from implicit_inference.runs import runtime

ENGINES = "local[:PROCESSES], ray[:ADDRESS], slurm"
PACKAGES = {"ray": "ray", "slurm": "submitit"}
"""engine -> the package that it rests on; the optional extra has the engine's name"""


class Engine(Protocol):
    """Runs jobs somewhere: `submit` hands one over, `gather` waits until at least one ended, `close` ends the rest."""

    places: int
    """Jobs that it takes at once."""

    def submit(self, id: str, text: str) -> None:
        """Starts a job of this name: a process that reads the text."""

    def gather(self) -> list[Ended]:
        """Waits until a job has ended; tells of all that have since the last call."""

    def close(self) -> None:
        """Ends all jobs that run; they keep their state."""


@dataclass(frozen=True)
class Place:
    """One engine by name, `local`, `ray` or `slurm`, and what stands behind the colon."""

    name: str
    detail: str = ""

    @classmethod
    def of(cls, text: object) -> "Place":
        """The engine of `local[:PROCESSES]`, `ray[:ADDRESS]` or `slurm`.

        Raises ConfigError for any other text, and UserError for an engine whose package is not installed.
        """
        name, colon, detail = text.partition(":") if isinstance(text, str) else ("", "", "")
        number = detail.isascii() and detail.isdecimal() and 1 <= int(detail[:9]) <= 4096
        known = {"local": not colon or number, "ray": not colon or bool(detail), "slurm": not colon}
        if not known.get(name):
            refuse("on", text, ENGINES)
        if (package := PACKAGES.get(name)) and find_spec(package) is None:
            install = f"pip install 'implicit-inference[{name}]'"
            raise UserError(f"on = {quoted(text)}: {package} is not installed; install it with: {install}")
        return cls(name, detail)

    def opened(self, jobs: int, memory: int, room: int | None, folder: Path) -> Engine:
        """Starts the engine for so many jobs, each with so many bytes of memory.

        `room`: bytes of this machine, None where nothing tells. `folder`: where an engine keeps its own files. Raises
        UserError where the engine cannot start.
        """
        if self.name == "local":
            return self._local(jobs, memory, room)
        engine: Engine = import_module(f"implicit_inference.engines.{self.name}").started(self.detail, memory, folder)
        return engine

    def _local(self, jobs: int, memory: int, room: int | None) -> Engine:
        """Makes room for as many processes as jobs, cores and memory allow; each gets an equal part of the cores."""
        from implicit_inference.engines.local import Local

        cores = runtime.cores()
        carried = len(cores) if room is None else room // memory
        asked = int(self.detail) if self.detail else len(cores)
        places = max(1, min(jobs, len(cores), carried, asked))
        if self.detail and (fit := min(len(cores), max(1, carried))) < asked:
            raise ConfigError(f"on = 'local:{asked}': allowed: at most {fit} processes, for which there is room")
        each = len(cores) // places
        return Local([tuple(cores[i * each : (i + 1) * each]) for i in range(places)])
