"""Hosts that share a run: who they are, and that all of them are there before JAX counts on it.

JAX ends a process from C++ when a host is missing. So they meet first, at the address where JAX will then listen: the
first host counts the others, whoever comes early waits, and whoever waits in vain is told so. No jax here.
"""

import contextlib
import os
import re
import select
import socket
import sys
import time
from dataclasses import dataclass

from implicit_inference.config.errors import ConfigError, UserError, quoted

PATIENCE = 120.0
"""Seconds to wait for the other hosts."""

MOST_HOSTS = 512
COMPLETE = b"complete\n"


@dataclass(frozen=True)
class Hosts:
    """The address of the first host as text and as a number, how many hosts there are, and which of them this is."""

    address: str
    ip: str
    port: int
    count: int
    index: int

    @property
    def bind_address(self) -> str:
        """The address that the first host listens on, and no other."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def greeting(self) -> bytes:
        return f"host {self.index} of {self.count}\n".encode()


def hosts_from(text: str) -> Hosts | None:
    """Reads ADDRESS:PORT,COUNT,INDEX, an IPv6 address in brackets; None for `auto`.

    Raises ConfigError for another form, a port, count or index out of range, and an address that nobody knows.
    """
    if text == "auto":
        return None
    found = re.fullmatch(r"(\[[0-9a-fA-F:.%\w]+\]|[^\s,:\[\]]+):(\d{1,5}),(\d{1,5}),(\d{1,5})", text, re.ASCII)
    port, count, index = (int(number) for number in found.groups()[1:]) if found else (0, 0, 0)
    if not found or not (1 <= port <= 65535 and 0 <= index < count <= MOST_HOSTS):
        allowed = f"PORT from 1 to 65535, COUNT from 1 to {MOST_HOSTS}, INDEX from 0 to COUNT - 1"
        raise ConfigError(f"hosts = {quoted(text)}: allowed: auto, or ADDRESS:PORT,COUNT,INDEX with {allowed}")
    try:
        known = socket.getaddrinfo(found[1].strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = f"no such host ({getattr(error, 'strerror', None) or 'not a name'})"
        raise ConfigError(f"hosts = {quoted(text)}: {reason}; allowed: the first host's name or address") from error
    return Hosts(f"{found[1]}:{port}", str(known[0][4][0]), port, count, index)


def meet(hosts: Hosts) -> None:
    """Returns on every host when all are there. Raises UserError after PATIENCE seconds, or if they do not fit."""
    if hosts.count == 1:
        return
    absent = "the others" if hosts.index == 0 else "all of them"
    waiting = f"host {hosts.index} of {hosts.count} waits at {hosts.bind_address} for {absent}"
    print(f"implicit-inference: {waiting}, at most {PATIENCE:g} s", file=sys.stderr, flush=True)
    deadline = time.monotonic() + PATIENCE
    if hosts.index == 0:
        _receive(hosts, deadline)
    else:
        _visit(hosts, deadline)


def _receive(hosts: Hosts, deadline: float) -> None:
    """The first host: hold the connections of the others until there is one of each."""
    family = socket.AF_INET6 if ":" in hosts.ip else socket.AF_INET
    try:
        listener = socket.create_server((hosts.ip, hosts.port), family=family)
    except OSError as error:
        allowed = "allowed: an address of this host, the first, with a port that is free"
        raise UserError(f"hosts = {hosts.address}: {os.strerror(error.errno or 0)}; {allowed}") from error
    guests: dict[int, socket.socket] = {}
    with listener, contextlib.ExitStack() as opened:
        while len(guests) < hosts.count - 1:
            ready = select.select([listener, *guests.values()], [], [], max(0.0, deadline - time.monotonic()))[0]
            if not ready:
                absent = ", ".join(str(i) for i in range(1, hosts.count) if i not in guests)
                raise UserError(f"hosts = {hosts.address}: within {PATIENCE:g} s no sign of host {absent}")
            guests = {index: guest for index, guest in guests.items() if guest not in ready}  # those have left
            if listener in ready:
                _greet(hosts, opened.enter_context(listener.accept()[0]), guests)
        for guest in guests.values():
            with contextlib.suppress(OSError):
                guest.sendall(COMPLETE)
                guest.settimeout(1.0)
                guest.recv(1)  # who closes first keeps the port busy for a while: let it be the guest


def _greet(hosts: Hosts, guest: socket.socket, guests: dict[int, socket.socket]) -> None:
    """Takes a host among the guests and tells one that does not fit so; whoever else calls is not answered."""
    guest.settimeout(1.0)
    with contextlib.suppress(OSError):
        found = re.fullmatch(rb"host (\d{1,5}) of (\d{1,5})\n", guest.recv(64))
        index, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if count == hosts.count and index not in (0, *guests):
            guests[index] = guest
            return
        if found:
            reason = (
                "waits with another host of this INDEX" if count == hosts.count else f"expects a COUNT of {hosts.count}"
            )
            guest.sendall(f"the first host {reason}\n".encode())
    guest.close()


def _visit(hosts: Hosts, deadline: float) -> None:
    """Every other host: go to the first one, as often as need be, and wait there for the word."""
    name, reason = hosts.address.rpartition(":")[0].strip("[]"), "no answer there"
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection((name, hosts.port), timeout=left) as first:
                reason = "some are missing"
                first.sendall(hosts.greeting)
                first.settimeout(max(0.01, deadline - time.monotonic()))
                answer = first.recv(64)
        except TimeoutError:
            break
        except OSError as error:
            reason, answer = error.strerror or str(error), b""
        if answer == COMPLETE:
            return
        if answer:
            reply = answer.decode(errors="replace").strip()
            raise UserError(f"hosts = {hosts.address}, host {hosts.index} of {hosts.count}: {reply}")
        time.sleep(0.2)
    raise UserError(f"hosts = {hosts.address}: within {PATIENCE:g} s not all hosts were there ({reason})")
