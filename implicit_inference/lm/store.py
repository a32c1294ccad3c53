"""Runs of language models: a directory each, named by a hash of all that its content depends on."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from implicit_inference.config.errors import UserError, named, quoted, shortened
from implicit_inference.runs.files import locked, write_whole

SETTINGS = "run.json"
Arrays = dict[str, Any]


@dataclass(frozen=True)
class LmRun:
    """A run, finished or not; `settings` name all that it depends on."""

    directory: Path
    settings: dict[str, Any]

    @property
    def id(self) -> str:
        """Its name: the kind of run, and a hash."""
        return self.directory.name

    def path(self, name: str) -> Path:
        """The path of one of its files."""
        return self.directory / name

    def has(self, name: str) -> bool:
        """Whether a file is there, as a whole."""
        return self.path(name).exists()

    def write(self, name: str, arrays: Arrays) -> None:
        """Writes arrays as safetensors."""
        write_whole(self.path(name), save(arrays))

    def read(self, name: str) -> Arrays:
        """Reads arrays; raises UserError."""
        with self.readable(name):
            return load(self.path(name).read_bytes())

    @contextmanager
    def readable(self, name: str) -> Iterator[None]:
        """Raises UserError where a file turns out not to be what was written."""
        try:
            yield
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path(name)}: not whole ({shortened(str(error), 100)}); delete it") from error

    def write_json(self, name: str, value: Any) -> None:
        """Writes a value as JSON."""
        write_whole(self.path(name), (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


@contextmanager
def begun(runs: Path, kind: str, settings: dict[str, Any]) -> Iterator[LmRun]:
    """Holds the run of these settings, new or begun before, while one process works on it."""
    text = json.dumps(settings, sort_keys=True)
    run = LmRun(runs / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}", settings)

    def waiting(owner: str) -> None:
        print(f"{run.id}: waits for {owner}", flush=True)

    with locked(run.directory, waiting):
        if not run.has(SETTINGS):
            run.write_json(SETTINGS, settings)
        yield run


def found(runs: Path, name: str) -> LmRun:
    """The tuning of this directory or id, which may be cut short; raises UserError."""
    candidates = [Path(name)] if (Path(name) / SETTINGS).exists() else sorted(runs.glob("lm-tune-*"))
    matching = [path for path in candidates if path == Path(name) or path.name.startswith(name)]
    if len(matching) != 1:
        many = f"{len(matching)} such runs" if matching else "no such model directory and no such tuning"
        raise UserError(
            f"{named(name)}: {many} in {named(runs)}: allowed: a directory with config.json, or a run of lm tune"
        )
    path = matching[0] / SETTINGS
    try:
        settings = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{named(path)}: not a tuning's settings ({shortened(str(error), 100)})") from error
    seeds = settings.get("seeds") if isinstance(settings, dict) and "base" in settings else None
    if not isinstance(seeds, list) or not all(isinstance(seed, int) for seed in seeds):
        raise UserError(f"{named(path)}: not a tuning's settings: seeds = {quoted(seeds)}: allowed: runs of lm tune")
    run = LmRun(matching[0], settings)
    for seed in seeds:
        if not run.has(f"seed-{seed}.safetensors"):
            raise UserError(f"{run.id}: unfinished: seed {seed} is absent; the command that began it resumes it")
    return run
