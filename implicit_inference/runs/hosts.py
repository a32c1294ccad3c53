"""Several hosts: the same program on each, one directory of runs that all of them see, and the first one writes it."""

import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from implicit_inference.runs.drafts import Draft, owned
from implicit_inference.runs.environment import environment
from implicit_inference.config.errors import ConfigError, UserError, quoted
from implicit_inference.runs.store import Row
from implicit_inference.config.fields import Config
from implicit_inference.runs.store import Run

LONGEST_WAIT = 300.0
"""Seconds that hosts wait for each other before any of them computes."""

HELLO = b"implicit-inference "


def join(where: tuple[str, int, int] | None) -> None:
    """Makes the devices of all hosts one set; all call this before they compute anything.

    `where`: the address and port on the first host, how many hosts there are, and which of them, from 0, this is;
    None where a cluster tells by itself. The first host listens at that address alone. Raises UserError, after
    LONGEST_WAIT seconds if a host is missing.
    """
    jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM
    try:
        if where is None:
            jax.distributed.initialize()
        else:
            meet(*where)
            address, count, index = where
            jax.distributed.initialize(address, count, index, coordinator_bind_address=address)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"the hosts did not find each other: {str(error).splitlines()[0]}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a host may be waiting inside of a computation: it ends at once


def meet(address: str, count: int, index: int) -> None:
    """Returns once all hosts are there: JAX itself ends the process when one is missing. Raises UserError."""
    name, _, port = address.rpartition(":")
    try:
        (family, kind, _, _, place), *_ = socket.getaddrinfo(name.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise UserError(f"hosts = {quoted(address)}: the name is not known here ({error.strerror})") from error
    print(f"hosts: waiting for {count} at {address}, {LONGEST_WAIT:g} s at most", file=sys.stderr, flush=True)
    deadline = time.monotonic() + LONGEST_WAIT
    with socket.socket(family, kind) as ours:
        if index == 0:
            _receive(ours, place, count, deadline, address)
        else:
            _call(family, kind, place, index, deadline, address)


def _receive(ours: socket.socket, place: Any, count: int, deadline: float, address: str) -> None:
    """Waits on the first host until every other one has called, then tells them all to go on."""
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        ours.bind(place)
    except OSError as error:
        raise UserError(f"hosts = {quoted(address)}: cannot listen there ({error.strerror})") from error
    ours.listen()
    there: dict[int, socket.socket] = {}
    try:
        while len(there) < count - 1:
            ours.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                caller, _ = ours.accept()
                caller.settimeout(max(0.01, min(5.0, deadline - time.monotonic())))
                word = caller.recv(len(HELLO) + 4)
            except OSError:
                if time.monotonic() > deadline:
                    missing = sorted(set(range(1, count)) - there.keys())
                    raise UserError(f"the hosts {missing} did not come to {address} in {LONGEST_WAIT:g} s") from None
                continue
            if word.startswith(HELLO) and word[len(HELLO) :].isdigit() and 0 < int(word[len(HELLO) :]) < count:
                there[int(word[len(HELLO) :])] = caller
            else:
                caller.close()
        for caller in there.values():
            caller.sendall(HELLO)
    finally:
        for caller in there.values():
            caller.close()


def _call(family: int, kind: int, place: Any, index: int, deadline: float, address: str) -> None:
    """Calls the first host from another one until it answers."""
    while True:
        with socket.socket(family, kind) as ours:
            ours.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                ours.connect(place)
                ours.sendall(HELLO + str(index).encode())
                if ours.recv(len(HELLO)) == HELLO:
                    return
            except OSError:
                pass
        if time.monotonic() > deadline:
            raise UserError(f"the first host did not answer at {address} in {LONGEST_WAIT:g} s")
        time.sleep(min(0.2, LONGEST_WAIT / 10))


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

    def keep(self, name: str, tree: Any) -> None:
        """Keeps parameters with the next checkpoint; those that a resumed run has already stay as they are."""
        whole = gathered(tree)
        if self.draft and name not in self.draft.files:
            self.draft.write_tree(name, whole)

    def checkpoint(self, step: int, state: Any, rows: list[Row]) -> None:
        """Keeps the state and the losses of a step, in the place of those of an earlier one.

        Those of a step that is kept already stay as they are: a file that counts is never written anew.
        """
        whole = gathered(state)
        if self.draft and self.run.checkpoint != step:
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
    """Owns a run on the first host, for all of them; none goes on before it does, since it may wait for an owner."""
    with owned(run) if jax.process_index() == 0 else nullcontext() as draft:
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"{run.id} is owned")
        yield Writer(run, draft)
