"""Writing a run: one owner at a time, one commit point, nothing that is not finite.

Files are written first and count once run.json names them; it is replaced in one step. A process killed at any time
leaves the run as it was before that step, or as it was after it.
"""

import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save

from implicit_inference.config import identity
from implicit_inference.config.errors import UserError, one_line
from implicit_inference.config.fields import Config
from implicit_inference.runs.files import TEMPORARY, Lock, locked, write_whole
from implicit_inference.runs.store import FORMAT, Run, StoreError, first_not_finite, named_leaves, refuse_not_finite

REPLACED = re.compile(r"checkpoint-[0-9]+\.(safetensors|parquet)|params(-[0-9]+)?\.safetensors")
"""The large files that an owner writes: one that run.json does not name is of no use to anybody."""


class NotFiniteError(UserError):
    """A result that is no number; what would hold it is not finished."""


@contextlib.contextmanager
def owned(run: Run) -> Iterator["Draft"]:
    """Lets this process alone write to a run, as long as it lives; waits for another owner, and says so.

    Figures and pages that are put beside a finished run are written by its owner, too. Raises UserError where files
    cannot be locked.
    """

    def waiting(owner: str) -> None:
        print(one_line(f"{run.id}: waiting for {owner}, which writes to it"), file=sys.stderr, flush=True)

    with locked(run.directory, waiting) as lock:
        info = run.info() if run.begun else {"files": {}, "parents": []}
        draft = Draft(run, lock, info["files"], info["parents"])
        draft.tidy()
        yield draft


def tidy(run: Run) -> None:
    """Removes what a killed process left beside a finished run, where this process may and no other one is at it."""

    def leave(owner: str) -> NoReturn:
        raise BlockingIOError(f"{owner} is at it")

    files = run.info()["files"]
    with contextlib.suppress(OSError, UserError):
        if run.path("lock").exists() or strays(run, files):
            with locked(run.directory, leave) as lock:
                Draft(run, lock, files, []).tidy()


@dataclass
class Draft:
    """A run that this process owns. What is written counts once `commit` has named it in run.json."""

    run: Run
    lock: Lock
    files: dict[str, str]
    parents: list[str]

    def begin(self, config: Config, parents: list[str]) -> None:
        """Names the run's configuration and parents; nothing else of it counts any more."""
        self.files, self.parents = {}, parents
        self.write("config.toml", identity.stored_text(self.run.stage, config).encode())
        self.commit()

    def write(self, name: str, content: bytes) -> None:
        self._check()
        write_whole(self.run.path(name), content)
        self.files[name] = hashlib.sha256(content).hexdigest()

    def write_json(self, name: str, content: Any) -> None:
        """Writes plain values; raises NotFiniteError for a number that is none, which JSON cannot hold."""
        try:
            text = json.dumps(content, indent=2, allow_nan=False)
        except ValueError as error:
            raise NotFiniteError(f"{self.run.path(name)}: would hold a number that is not finite") from error
        self.write(name, (text + "\n").encode())

    def write_tree(self, name: str, tree: Any) -> None:
        """Writes a pytree of arrays as safetensors; each array's name is its path in the tree.

        Raises NotFiniteError for numbers that are not finite.
        """
        leaves = {path: np.ascontiguousarray(leaf) for path, leaf in named_leaves(tree)}
        refuse_not_finite(self.run.path(name), leaves.items(), NotFiniteError)
        self.write(name, save(leaves))

    def write_table(self, name: str, records: list[dict[str, Any]]) -> None:
        """Writes tidy rows as Parquet; raises NotFiniteError for a number that is not finite, with its row."""
        if found := first_not_finite(records):
            record, column = found
            labels = ", ".join(f"{k} {v}" for k, v in record.items() if v is not None and not isinstance(v, float))
            raise NotFiniteError(f"{self.run.id}: {name} would hold {column} = {record[column]} ({labels})")
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(records), sink)
        self.write(name, sink.getvalue().to_pybytes())

    def commit(self, finished: bool = False) -> None:
        """Makes all that was written count, in one step."""
        self._check()
        info = {"format": FORMAT, "stage": self.run.stage, "parents": self.parents, "finished": finished}
        text = json.dumps(info | {"files": dict(sorted(self.files.items()))}, indent=2)
        write_whole(self.run.path("run.json"), (text + "\n").encode())
        self.tidy()

    def finish(self, environment: dict[str, Any]) -> None:
        """Writes the environment and marks the run as finished, without its checkpoint."""
        self.drop_checkpoint()
        self.write_json("env.json", environment)
        self.commit(finished=True)

    def drop_checkpoint(self) -> None:
        """Leaves the checkpoint out of the next commit, which removes it."""
        self.files = {name: digest for name, digest in self.files.items() if not name.startswith("checkpoint-")}

    def tidy(self) -> None:
        """Removes files of this run that do not count: those of a process that was killed, and old checkpoints."""
        for path in strays(self.run, self.files):
            path.unlink(missing_ok=True)

    def _check(self) -> None:
        """Raises StoreError unless the run is still this process's to write to."""
        if not self.lock.held:
            raise StoreError(f"{self.run.id}: is no longer this process's; nothing more is written; run it again")
        if self.run.finished:
            raise StoreError(f"{self.run.id}: is finished, by another process; nothing more is written")


def strays(run: Run, files: Mapping[str, str]) -> list[Path]:
    """Finds what a killed owner left in a run's directory: temporary files, and parameters that `files` do not name."""
    entries = list(run.directory.iterdir())
    temporary = [path for path in (*entries, *run.path("figures").glob(".*")) if TEMPORARY.fullmatch(path.name)]
    return temporary + [path for path in entries if REPLACED.fullmatch(path.name) and path.name not in files]
