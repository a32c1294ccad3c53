"""Files written whole or not at all, and directories that one process at a time may write to."""

import contextlib
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from implicit_inference.config.errors import UserError, quoted

try:
    import fcntl
except ImportError:  # no advisory locks on this system: runs are not guarded against a second process
    fcntl = None  # type: ignore[assignment]

TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")
"""The names of files that are being written."""

EXACT = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
"""Opens the file itself, not what a link points to, and its bytes as they are."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file whole: a temporary file of a name that nobody can know, made anew; fsync; rename; fsync.

    Raises OSError, which names the file; it is then as it was before.
    """
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(temporary, content)
        try:
            os.replace(temporary, path)
        except BaseException:
            _remove(temporary)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    _sync(path.parent)


def make(directory: Path, called: str) -> None:
    """Makes a directory, which the user knows as `called`, unless it is there; raises UserError if it cannot be."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        allowed = "allowed: a directory that is there or can be made"
        raise UserError(f"{called} {quoted(str(directory))}: {error.strerror}; {allowed}") from error


def _write_new(path: Path, content: bytes) -> None:
    """Writes a file that must not be there yet, to the disk; removes it if that fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | EXACT, 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        _remove(path)
        raise


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _sync(directory: Path) -> None:
    """Makes a rename last through a crash of the machine, where directories can be synchronised."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class Lock:
    """The lock on a directory, while this process has it."""

    path: Path
    descriptor: int

    @property
    def held(self) -> bool:
        """Whether the locked file is still the one in the directory: it is not if that was deleted or replaced."""
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self.descriptor))


@contextlib.contextmanager
def locked(directory: Path, waiting: Callable[[str], None]) -> Iterator[Lock]:
    """Holds the lock `directory`/lock; the directory is made if it is missing.

    The kernel frees the lock of a process that died, and keeps that of one that was stopped. Calls `waiting` with the
    host and process of another owner before it waits for it; what `waiting` raises ends the wait. Raises UserError
    where files cannot be locked.
    """
    lock = _acquired(directory, waiting)
    try:
        os.ftruncate(lock.descriptor, 0)
        os.write(lock.descriptor, f"{socket.gethostname()} process {os.getpid()}\n".encode())
        yield lock
    finally:
        try:
            if lock.held:
                with contextlib.suppress(OSError):
                    os.unlink(lock.path)
        finally:
            os.close(lock.descriptor)


def _acquired(directory: Path, waiting: Callable[[str], None]) -> Lock:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "lock"
    while True:
        lock = Lock(path, os.open(path, os.O_RDWR | os.O_CREAT | EXACT, 0o666))
        try:
            _wait_for(lock, waiting)
        except BaseException:
            os.close(lock.descriptor)
            raise
        if lock.held:
            return lock
        os.close(lock.descriptor)  # the last owner removed it as it ended
        directory.mkdir(parents=True, exist_ok=True)


def _wait_for(lock: Lock, waiting: Callable[[str], None]) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(lock.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting(os.pread(lock.descriptor, 200, 0).decode(errors="replace").strip() or "another process")
        fcntl.flock(lock.descriptor, fcntl.LOCK_EX)
    except OSError as error:
        mend = "keep runs on a file system that can lock files"
        raise UserError(f"{lock.path}: cannot be locked ({error.strerror}); {mend}") from error
