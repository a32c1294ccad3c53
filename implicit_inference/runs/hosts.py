"""Several hosts: the same program on each, one directory of runs that all of them see, and the first one writes it."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from implicit_inference.config.errors import LONGEST_QUOTE, ConfigError, UserError, shortened
from implicit_inference.config.fields import Config
from implicit_inference.runs.drafts import Draft, owned
from implicit_inference.runs.environment import environment
from implicit_inference.runs.meeting import PATIENCE, Hosts, meet
from implicit_inference.runs.store import Record, Run

STATUS = re.compile("[A-Z_]+: ")
"""How failures inside of JAX's runtime begin, whichever Python exception they become."""


class HostLostError(UserError):
    """Another host ended, or the network between them."""

    exit_code = 1


def alone() -> bool:
    """Whether no other host takes part."""
    return jax.process_count() == 1


def join(hosts: Hosts | None) -> None:
    """Makes the devices of all hosts one set; all call this before they compute anything.

    None: a cluster tells who they are. Raises UserError where they do not find each other.
    """
    jax.config.update("jax_enable_preemption_service", False)  # it swallows SIGTERM
    try:
        if hosts is None:
            jax.distributed.initialize(initialization_timeout=int(PATIENCE))
        else:
            meet(hosts)
            jax.distributed.initialize(
                hosts.address, hosts.count, hosts.index, coordinator_bind_address=hosts.bind_address
            )
    except (ValueError, RuntimeError) as error:
        raise UserError(f"the hosts did not find each other: {str(error).splitlines()[0]}") from error


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Raises HostLostError where work on several hosts fails in JAX: nearly always since one of them is gone."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if jax.process_count() == 1 or not STATUS.match(str(error)):
            raise
        reason = shortened(str(error).splitlines()[0], 2 * LONGEST_QUOTE)
        raise HostLostError(f"a host is gone ({reason}); the same command on all hosts resumes") from error


def gathered(tree: Any) -> Any:
    """Every leaf whole, as a NumPy array, on every host."""
    if jax.process_count() == 1:
        return jax.tree.map(np.asarray, tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def agreed(flag: bool) -> bool:
    """The first host's opinion, on every host."""
    return flag if jax.process_count() == 1 else bool(multihost_utils.broadcast_one_to_all(np.array(flag)))


def agreed_everywhere(subject: str, value: bool) -> bool:
    """The value; raises ConfigError unless all hosts have it: they would wait for each other for ever."""
    if jax.process_count() > 1:
        values = multihost_utils.process_allgather(np.array(value))
        if np.any(values != values[0]):
            raise ConfigError(
                f"hosts differ in {subject} ({', '.join(map(str, values))}): all must see one --runs directory"
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

    def keep(self, name: str, tree: Any) -> None:
        """Keeps parameters with the next checkpoint; those that a resumed run has already stay as they are."""
        whole = gathered(tree)
        if self.draft and name not in self.draft.files:
            self.draft.write_tree(name, whole)

    def checkpoint(self, step: int, state: Any, records: list[Record]) -> None:
        """Keeps the state and the losses of a step, in the place of those of an earlier one.

        Those of a step that is kept already stay as they are: a file that counts is never written anew.
        """
        whole = gathered(state)
        if self.draft and self.run.checkpoint != step:
            self.draft.drop_checkpoint()
            self.draft.write_table(f"checkpoint-{step}.parquet", records)
            self.draft.write_tree(f"checkpoint-{step}.safetensors", whole)
            self.draft.commit()

    def finish(self, params: Any, records: list[Record], seconds: float, resumed: bool) -> None:
        """Keeps the parameters and the losses; returns when all hosts may read the finished run."""
        whole = gathered(params)
        if self.draft:
            self.draft.write_tree("params.safetensors", whole)
            self.draft.write_table("training.parquet", records)
            self.draft.finish(environment(seconds, resumed))
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"{self.run.id} is finished")


@contextlib.contextmanager
def writing(run: Run) -> Iterator[Writer]:
    """Owns a run on the first host, for all of them; none goes on before it does, since it may wait for an owner."""
    with owned(run) if jax.process_index() == 0 else contextlib.nullcontext() as draft:
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"{run.id} is owned")
        yield Writer(run, draft)
