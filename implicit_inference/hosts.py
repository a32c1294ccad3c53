"""Several hosts: the same program on each, one directory of runs that all of them see, and the first one writes it."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from implicit_inference.config import Config, ConfigError
from implicit_inference.rows import Row
from implicit_inference.store import Run


def join(hosts: str) -> None:
    """Make the devices of all hosts one set: `ADDRESS:PORT,COUNT,INDEX`, or `auto` where a cluster tells by itself.

    ADDRESS:PORT is on the first host, whose INDEX is 0; all call this before they compute anything. Raises ConfigError.
    """
    if hosts == "auto":
        jax.distributed.initialize()
        return
    try:
        address, count, index = hosts.split(",")
        numbers = int(count), int(index)
        if ":" not in address or not 0 <= numbers[1] < numbers[0]:
            raise ValueError
    except ValueError as error:
        allowed = "auto, or ADDRESS:PORT,COUNT,INDEX with INDEX < COUNT"
        raise ConfigError(f"hosts = {hosts!r}: allowed: {allowed}") from error
    jax.distributed.initialize(address, *numbers)


def gathered(tree: Any) -> Any:
    """Every leaf whole, as a NumPy array, on every host."""
    if jax.process_count() == 1:
        return jax.tree.map(np.asarray, tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def agreed(flag: bool) -> bool:
    """The first host's opinion, on every host."""
    return flag if jax.process_count() == 1 else bool(multihost_utils.broadcast_one_to_all(np.array(flag)))


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
