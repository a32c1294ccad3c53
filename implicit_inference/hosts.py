"""Several hosts: the same program on each, one directory of runs that all of them see, and the first one writes it."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from implicit_inference.config import Config
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


def same_everywhere(what: str, value: Any) -> None:
    """Raises ConfigError unless all hosts have this value: they would wait for each other for ever."""
    if jax.process_count() > 1:
        values = multihost_utils.process_allgather(np.array(value))
        if np.any(values != values[0]):
            raise ConfigError(
                f"hosts differ in {what} ({', '.join(map(str, values))}): all must see one --runs directory"
            )


@dataclass(frozen=True)
class Writer:
    """Writes a run from the first host; every host must make the same calls."""

    run: Run

    def begin(self, config: Config, parents: list[str]) -> None:
        if jax.process_index() == 0:
            self.run.begin(config, parents)

    def write_tree(self, name: str, tree: Any) -> None:
        whole = gathered(tree)
        if jax.process_index() == 0:
            self.run.write_tree(name, whole)

    def write_table(self, name: str, rows: list[Row]) -> None:
        if jax.process_index() == 0:
            self.run.write_table(name, rows)

    def finish(self, seconds: float, resumed: bool) -> None:
        """Returns when all hosts may read the finished run."""
        if jax.process_index() == 0:
            self.run.finish(seconds, resumed=resumed)
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"{self.run.id} is finished")
