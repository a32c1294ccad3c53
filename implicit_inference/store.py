"""The run directory: plain files, written whole or not at all, readable without any of the training code.

Importing it does not import jax; only parameters and the environment need it.

runs/<stage>-<hash>/
  config.toml           every field of the experiment
  run.json              stage, parents, finished or not
  env.json              versions, devices, git commit, wall time
  params.safetensors    the parameters, one array a name, a leading axis for seeds
  training.parquet      losses while training
  checkpoint.safetensors  only while a stage is unfinished
"""

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from implicit_inference import config as configs
from implicit_inference.config import Config
from implicit_inference.errors import ConfigError, UserError


class StoreError(UserError):
    """A run that is missing, unfinished or damaged: the file, and what to do."""


@dataclass(frozen=True)
class Run:
    """One stage's directory."""

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
        return (self.directory / "run.json").exists() and self.info()["finished"]

    def path(self, name: str) -> Path:
        return self.directory / name

    def info(self) -> dict[str, Any]:
        """The content of run.json: stage, parents, finished."""
        content = self.read_json("run.json")
        if not isinstance(content, dict) or content.keys() != {"stage", "parents", "finished"}:
            raise damaged(self.path("run.json"), ValueError("stage, parents and finished are expected"))
        return content

    def config(self) -> Config:
        """The experiment's configuration, which must be the one that the run is named after."""
        path = self.path("config.toml")
        try:
            config = configs.restored(self.stage, configs.read_toml(path))
        except ConfigError as error:
            raise damaged(path, error) from error
        if configs.run_id(self.stage, config) != self.id:
            raise damaged(self.path("config.toml"), ValueError("it is not the configuration of this run"))
        return config

    def begin(self, config: Config, parents: list[str]) -> None:
        """Make the directory, unfinished."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.write("config.toml", configs.stored_text(self.stage, config).encode())
        self.write_json("run.json", {"stage": self.stage, "parents": parents, "finished": False})

    def finish(self, seconds: float, resumed: bool = False) -> None:
        """Write the environment and mark the run as finished; the checkpoint is no longer needed.

        `seconds` is the wall time of this process; after a resume that is not all.
        """
        self.write_json("env.json", environment() | {"wall_seconds": round(seconds, 2), "resumed": resumed})
        self.write_json("run.json", self.info() | {"finished": True})
        self.path("checkpoint.safetensors").unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> None:
        write_whole(self.path(name), content)

    def write_json(self, name: str, content: Any) -> None:
        self.write(name, (json.dumps(content, indent=2) + "\n").encode())

    def read_json(self, name: str) -> Any:
        try:
            return json.loads(self.path(name).read_text())
        except OSError as error:
            raise StoreError(f"{self.path(name)}: cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise damaged(self.path(name), error) from error

    def write_tree(self, name: str, tree: Any) -> None:
        """Write a pytree of arrays as safetensors; each array's name is its path in the tree."""
        self.write(name, save({path: np.ascontiguousarray(leaf) for path, leaf in named_leaves(tree)}))

    def read_tree(self, name: str, like: Any) -> Any:
        """Read a pytree of the structure, shapes and types of `like` (arrays or their abstract shapes)."""
        import jax

        path = self.path(name)
        try:
            stored = load_file(path)
        except FileNotFoundError as error:
            raise StoreError(f"{path}: there is no such file") from error
        except (SafetensorError, OSError) as error:
            raise damaged(path, error) from error
        leaves = []
        for leaf_name, leaf in named_leaves(like):
            if leaf_name not in stored or stored[leaf_name].shape != leaf.shape:
                raise StoreError(f"{path}: {leaf_name} is missing or has another shape than {leaf.shape}")
            leaves.append(stored[leaf_name].astype(leaf.dtype, copy=False))
        return jax.tree.unflatten(jax.tree.structure(like), leaves)

    def write_table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write tidy rows as Parquet."""
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows), sink)
        self.write(name, sink.getvalue().to_pybytes())

    def read_table(self, name: str) -> list[dict[str, Any]]:
        """Read tidy rows."""
        try:
            return pq.read_table(self.path(name)).to_pylist()
        except FileNotFoundError as error:
            raise StoreError(f"{self.path(name)}: there is no such file") from error
        except (pa.ArrowException, OSError) as error:
            raise damaged(self.path(name), error) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole: temporary file, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def finished_runs(runs: Path, stage: str) -> list[Run]:
    """All finished runs of a stage in the directory `runs`, by id."""
    known = [Run(path) for path in sorted(runs.glob(f"{stage}-*")) if path.is_dir()]
    return [run for run in known if run.finished]


def find(runs: Path, prefix: str, stage: str | None = None, unfinished: bool = False) -> Run:
    """The finished run whose id starts with `prefix` in the directory `runs`; of `stage`, if that is given.

    `unfinished`: one that has only begun will do too.
    """
    known = sorted(path.name for path in runs.glob("*-*") if path.is_dir())
    allowed = [name for name in known if stage is None or name.startswith(f"{stage}-")]
    matches = [name for name in allowed if name.startswith(prefix)]
    kind = f"{stage} run" if stage else "run"
    if prefix in known and prefix not in allowed:
        raise StoreError(f"{prefix}: is not a {kind}; allowed: {', '.join(allowed) or f'none in {runs} yet'}")
    if len(matches) != 1:
        problem = "names more than one run" if matches else f"no such {kind} in {runs}"
        raise StoreError(f"{prefix}: {problem}; allowed: {', '.join(matches or allowed) or 'none yet'}")
    found = Run(runs / matches[0])
    if not found.finished and not (unfinished and found.path("run.json").exists()):
        raise StoreError(f"{found.id}: is unfinished; the command that began it resumes it")
    return found


def damaged(path: Path, error: Exception) -> StoreError:
    """The error for a file that cannot be read whole."""
    reason = str(error).splitlines()[0]
    return StoreError(f"{path}: is damaged ({reason}); delete {path.parent} and run its command again")


def named_leaves(tree: Any) -> list[tuple[str, Any]]:
    """(path, leaf) of a pytree, in order; paths such as params/blocks/up/kernel."""
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]


def environment() -> dict[str, Any]:
    """What the numbers were made with: versions, backend, devices, git commit, flags, command."""
    import jax

    packages = ("implicit-inference", "jax", "jaxlib", "flax", "optax", "numpy")
    devices = jax.devices()
    return {
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "backend": jax.default_backend(),
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "cpu_cores": os.cpu_count(),
        "git_commit": _git_commit(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "command": " ".join(sys.argv[1:]),
    }


def _git_commit() -> str | None:
    """The commit of the checkout that the package runs from, if it runs from one and git is there."""
    checkout = Path(__file__).parent.parent
    if not (checkout / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
