"""The run directory: plain files, written whole or not at all, readable without any of the training code.

Importing it does not import jax; only parameters and the environment need it.

runs/<stage>-<hash>/
  run.json              stage, parents, finished or not, and the SHA-256 of every file that counts
  config.toml           every field that the run depends on
  env.json              versions, devices, git commit, wall time
  params.safetensors    the parameters, one array a name, a leading axis for seeds
  training.parquet      losses while training
  checkpoint-<step>.*   the state and the losses of an unfinished stage
  lock                  while a process writes

run.json is replaced in one step, after the files that it names: a process killed at any time leaves the run as it was
before that step, or as it was after it.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load

from implicit_inference.config import identity
from implicit_inference.config.errors import ConfigError, UserError, named, quoted
from implicit_inference.config.fields import Config
from implicit_inference.config.identity import parent_ids
from implicit_inference.config.stages import STAGES
from implicit_inference.config.toml import parsed_toml

Record = dict[str, Any]
"""One row of a table: {column: value}."""

FORMAT = 2
"""The version of the run directory."""

RUN_ID = re.compile(rf"({'|'.join(STAGES)})-[0-9a-f]{{10}}")


class StoreError(UserError):
    """A run that is missing, unfinished or damaged: its text names the file, and says what to do."""


@dataclass(frozen=True)
class Run:
    """One stage's directory, to be read; drafts.py writes it."""

    directory: Path

    @property
    def id(self) -> str:
        return self.directory.name

    @property
    def stage(self) -> str:
        return self.id.split("-")[0]

    @property
    def finished(self) -> bool:
        """Whether the stage ran to its end; its files are then final."""
        return self.begun and self.info()["finished"]

    @property
    def begun(self) -> bool:
        """Whether anything of the stage is kept. Raises StoreError for a directory that cannot be looked into."""
        try:
            self.path("run.json").stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise unreadable(self.path("run.json"), error) from error
        return True

    def path(self, name: str) -> Path:
        return self.directory / name

    def info(self) -> dict[str, Any]:
        """The content of run.json: format, stage, parents, finished, files. Raises StoreError for any other shape."""
        content = _parsed(self.path("run.json"), _read(self.path("run.json")))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            version = content.get("format", 1) if isinstance(content, dict) else None
            other = f"was written by another version of implicit-inference (format {quoted(version)}, not {FORMAT})"
            mend = f"use that version, or delete {self.directory} and run its command again"
            raise StoreError(f"{self.path('run.json')}: {other}; {mend}")
        if fault := self._fault(content):
            raise damaged(self.path("run.json"), ValueError(fault))
        return content

    def _fault(self, content: dict[str, Any]) -> str | None:
        """The first thing that is wrong with run.json, if anything is."""
        if content.keys() != {"format", "stage", "parents", "finished", "files"}:
            return "format, stage, parents, finished and files are expected"
        if content["stage"] != self.stage or not RUN_ID.fullmatch(self.id):
            return f"stage {quoted(content['stage'])} is not that of {named(self.id)}"
        if content["finished"] is not True and content["finished"] is not False:
            return f"finished = {quoted(content['finished'])} is neither true nor false"
        parents, files = content["parents"], content["files"]
        if not isinstance(parents, list) or not all(isinstance(p, str) and RUN_ID.fullmatch(p) for p in parents):
            return f"parents = {quoted(parents)} are not the names of runs"
        if not isinstance(files, dict) or not all(_is_entry(*item) for item in files.items()):
            return "files are not names with their SHA-256"
        steps = {_step(name) for name in files if name.startswith("checkpoint-")}
        if len(steps) > 1 or None in steps or (steps and (content["finished"] or self.stage == "probe")):
            return "files hold a checkpoint that no such run has"
        return None

    def config(self) -> Config:
        """The experiment's configuration, which must be the one that the run and its parents are named after."""
        path = self.path("config.toml")
        content = self.read("config.toml")
        try:
            config = identity.restored(self.stage, parsed_toml(path, content))
        except ConfigError as error:
            raise damaged(path, error) from error
        if identity.run_id(self.stage, config) != self.id:
            raise damaged(path, ValueError("it is not the configuration of this run"))
        if (parents := self.info()["parents"]) != (expected := parent_ids(self.stage, config)):
            fault = f"parents = {quoted(parents)} are not those of its configuration, {quoted(expected)}"
            raise damaged(self.path("run.json"), ValueError(fault))
        return config

    def parents(self) -> list["Run"]:
        """The runs that this one rests on, in the same directory."""
        return [Run(self.directory.parent / parent) for parent in self.info()["parents"]]

    def read(self, name: str) -> bytes:
        """The bytes of a file; raises StoreError unless they are the ones that were written."""
        expected = self.info()["files"].get(name)
        if expected is None:
            raise StoreError(f"{self.path(name)}: there is no such file in this run")
        content = _read(self.path(name))
        if hashlib.sha256(content).hexdigest() != expected:
            raise damaged(self.path(name), ValueError("its SHA-256 is not the one in run.json"))
        return content

    def read_json(self, name: str) -> Any:
        return _parsed(self.path(name), self.read(name))

    def read_tree(self, name: str, like: Any) -> Any:
        """The pytree of a file, with the structure, shapes and types of `like` (arrays or their abstract shapes).

        Raises StoreError for arrays that are missing, left over, of another shape or type, or not finite.
        """
        import jax

        path, content = self.path(name), self.read(name)
        try:
            stored = load(content)
        except (SafetensorError, ValueError, KeyError) as error:
            raise damaged(path, error) from error
        leaves = []
        for leaf_name, leaf in named_leaves(like):
            found = stored.pop(leaf_name, None)
            if found is None or found.shape != leaf.shape or found.dtype != leaf.dtype:
                raise StoreError(f"{path}: {leaf_name} is missing or is not {leaf.dtype} of shape {leaf.shape}")
            leaves.append(found)
        if stored:
            raise StoreError(f"{path}: {named(min(stored))} does not belong there")
        refuse_not_finite(path, zip((n for n, _ in named_leaves(like)), leaves, strict=True))
        return jax.tree.unflatten(jax.tree.structure(like), leaves)

    def read_table(self, name: str) -> list[dict[str, Any]]:
        """The tidy rows of a table."""
        content = self.read(name)
        try:
            # A thread of Arrow's that is still there when the process ends may abort it.
            records = pq.read_table(pa.BufferReader(content), use_threads=False, pre_buffer=False).to_pylist()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged(self.path(name), error) from error
        if found := first_not_finite(records):
            raise damaged(self.path(name), ValueError(f"{named(found[1])} holds numbers that are not finite"))
        return records

    @property
    def checkpoint(self) -> int | None:
        """The step whose state is kept of an unfinished stage, if any is."""
        files = self.info()["files"] if self.begun else {}
        return next((step for name in files if (step := _step(name)) is not None), None)

    def training(self) -> list[dict[str, Any]]:
        """The losses while training, up to the end or to the state that is kept; none if nothing is."""
        if self.finished:
            return self.read_table("training.parquet")
        step = self.checkpoint
        return [] if step is None else self.read_table(f"checkpoint-{step}.parquet")


def _is_entry(name: str, digest: Any) -> bool:
    plain = "/" not in name and "\\" not in name and not name.startswith(".") and name.isprintable()
    return plain and isinstance(digest, str) and bool(re.fullmatch("[0-9a-f]{64}", digest))


def refuse_not_finite(path: Path, leaves: Iterable[tuple[str, Any]], error: type[UserError] = StoreError) -> None:
    """Raises `error` if an array of (name, array) pairs holds numbers that are not finite."""
    for name, leaf in leaves:
        if np.issubdtype(leaf.dtype, np.inexact) and not np.all(np.isfinite(leaf)):
            raise error(f"{path}: {name} holds numbers that are not finite")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def _step(name: str) -> int | None:
    """The step whose state or losses a file holds, if it is part of a checkpoint."""
    found = re.fullmatch(r"checkpoint-([0-9]{1,18})\.(parquet|safetensors)", name)
    return int(found[1]) if found else None


def _parsed(path: Path, content: bytes) -> Any:
    def finite(text: str) -> float:
        if not math.isfinite(float(text)):
            raise ValueError(f"{text} is no number")
        return float(text)

    try:
        return json.loads(content.decode(), parse_constant=finite, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error


def runs_of(runs: Path, stage: str) -> list[Run]:
    """The directories named like runs of a stage in the directory `runs`, by name; any of them may be unreadable."""
    return [Run(path) for path in sorted(runs.glob(f"{stage}-*")) if path.is_dir()]


def find(runs: Path, prefix: str, stage: str | None = None, unfinished: bool = False) -> Run:
    """The finished run whose id starts with `prefix` in the directory `runs`; of `stage`, if that is given.

    `unfinished`: one that has only begun will do too. Raises StoreError.
    """
    known = sorted(path.name for path in runs.glob("*-*") if path.is_dir() and RUN_ID.fullmatch(path.name))
    allowed = [name for name in known if stage is None or name.startswith(f"{stage}-")]
    matches = [name for name in allowed if name.startswith(prefix)]
    kind = f"{stage} run" if stage else "run"
    if prefix in known and prefix not in allowed:
        raise StoreError(f"{prefix}: is not a {kind}; allowed: {', '.join(allowed) or f'none in {runs} yet'}")
    if len(matches) != 1:
        problem = "names more than one run" if matches else f"no such {kind} in {named(runs)}"
        raise StoreError(f"{named(prefix)}: {problem}; allowed: {', '.join(matches or allowed) or 'none yet'}")
    found = Run(runs / matches[0])
    if not found.finished and not (unfinished and found.begun):
        raise StoreError(f"{found.id}: is unfinished; the command that began it resumes it")
    return found


def damaged(path: Path, error: Exception) -> StoreError:
    """The error for a file that cannot be read whole."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return StoreError(f"{path}: is damaged ({reason}); delete {path.parent} and run its command again")


def unreadable(path: Path, error: OSError) -> StoreError:
    """The error for a file that the system does not let this process read."""
    return StoreError(f"{path}: cannot be read ({error.strerror})")


@contextmanager
def interpreted(path: Path) -> Iterator[None]:
    """Raises StoreError, which names the file, where its values have another shape than their reader expects.

    A file may be whole and still be of another version, or made by hand.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        fault = f"{type(error).__name__}: {error}"
        mend = f"use the version that wrote it, or delete {path.parent} and run its command again"
        raise StoreError(f"{path}: has another shape than this version reads ({quoted(fault)}); {mend}") from error


def first_not_finite(records: list[dict[str, Any]]) -> tuple[dict[str, Any], str] | None:
    """(row, column) of the first number that is not finite, if there is one; NumPy's numbers are numbers too."""
    for record in records:
        for column, value in record.items():
            if isinstance(value, float | np.floating) and not math.isfinite(value):
                return record, column
    return None


def named_leaves(tree: Any) -> list[tuple[str, Any]]:
    """(path, leaf) of a pytree, in order; paths such as params/blocks/up/kernel."""
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]
