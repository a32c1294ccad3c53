"""Several hosts: the same program on each, one directory of runs that all of them see, and the first one writes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from implicit_inference.config import Config
from implicit_inference.drafts import Draft, owned
from implicit_inference.environment import environment
from implicit_inference.errors import ConfigError, UserError
from implicit_inference.rows import Row
from implicit_inference.store import Run


def join(where: tuple[str, int, int] | None) -> None:
    """Make the devices of all hosts one set; all call this before they compute anything.

    `where`: the address and port on the first host, how many hosts there are, and which of them, from 0, this is;
    None where a cluster tells by itself. Raises UserError.
    """
    try:
        jax.distributed.initialize(*(where or ()))
    except (ValueError, RuntimeError) as error:
        raise UserError(f"the hosts did not find each other: {str(error).splitlines()[0]}") from error


def gathered(tree: Any) -> Any:
    """Every leaf whole, as a NumPy array, on every host."""
    if jax.process_count() == 1:
        return jax.tree.map(np.asarray, tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def agreed(flag: bool) -> bool:
    """The first host's opinion, on every host."""
    return flag if jax.process_count() == 1 else bool(multihost_utils.broadcast_one_to_all(np.array(flag)))


def agreed_everywhere(what: str, value: bool) -> bool:
    """The value; raises ConfigError unless all hosts have it: they would wait for each other for ever."""
    if jax.process_count() > 1:
        values = multihost_utils.process_allgather(np.array(value))
        if np.any(values != values[0]):
            raise ConfigError(
                f"hosts differ in {what} ({', '.join(map(str, values))}): all must see one --runs directory"
            )
    return value


@dataclass(frozen=True)
class Writer:
    """Writes a run from the first host, which owns it; every host must make the same calls."""

    run: Run
    draft: Draft | None

    def begin(self, config: Config, parents: list[str]) -> None:
        if self.draft:
            self.draft.begin(config, parents)

    def resume(self) -> None:
        if self.draft:
            self.draft.resume()

    def write_tree(self, name: str, tree: Any) -> None:
        whole = gathered(tree)
        if self.draft:
            self.draft.write_tree(name, whole)

    def checkpoint(self, step: int, state: Any, rows: list[Row]) -> None:
        """Keeps the state and the losses of a step, in the place of those of an earlier one."""
        whole = gathered(state)
        if self.draft:
            self.draft.drop_checkpoint()
            self.draft.write_table(f"checkpoint-{step}.parquet", rows)
            self.draft.write_tree(f"checkpoint-{step}.safetensors", whole)
            self.draft.commit()

    def finish(self, params: Any, rows: list[Row], seconds: float, resumed: bool) -> None:
        """Keeps the parameters and the losses; returns when all hosts may read the finished run."""
        whole = gathered(params)
        if self.draft:
            self.draft.write_tree("params.safetensors", whole)
            self.draft.write_table("training.parquet", rows)
            self.draft.finish(environment(seconds, resumed))
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"{self.run.id} is finished")


@contextmanager
def writing(run: Run) -> Iterator[Writer]:
    """Owns a run on the first host, for all of them."""
    if jax.process_index():
        yield Writer(run, None)
        return
    with owned(run) as draft:
        yield Writer(run, draft)
