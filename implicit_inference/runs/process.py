"""How a command behaves towards the shell that started it: streams, signals, exit codes.

Imports the standard library alone, so that it stands before anything slow begins.
"""

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

from implicit_inference.config.errors import Terminated, UserError, one_line

STOPS = {
    signal.SIGINT: (KeyboardInterrupt, "interrupted; the same command resumes"),
    signal.SIGTERM: (Terminated, "terminated; the same command resumes"),
}
"""signal -> (what it raises in work that keeps its state, what is said at the end); the exit code is 128 + signal"""


def begin(name: str) -> None:
    """Readies a whole process: opens closed streams, lets them take any character, and ends it at once on signals.

    A closed stream is replaced by the null device, or the next file opened would have its number and, with it, what
    C++ libraries say. Signals end the process from outside of Python's exceptions, since imports turn those into
    others; `interruptible` work takes them over.
    """
    for stop in STOPS:
        signal.signal(stop, lambda number, frame: _end(name, number))
    for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, mode))  # noqa: SIM115
    for output in (sys.stdout, sys.stderr):
        output.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def end_at_once(name: str) -> None:
    """Lets signals end the process even while no Python runs, as in a wait for other hosts inside of a computation.

    To be called in the main thread. Nothing may be `interruptible` afterwards.
    """
    heard, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    for stop in STOPS:
        signal.signal(stop, lambda number, frame: None)

    def watch() -> None:
        while (number := os.read(heard, 1)[0]) not in STOPS:
            pass
        _end(name, number)

    threading.Thread(target=watch, daemon=True).start()


def _end(name: str, number: int) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(2, f"{name}: {STOPS[signal.Signals(number)][1]}\n".encode())
    os._exit(128 + number)


def run(name: str, command: Callable[[], int]) -> int:
    """Runs a command and returns its exit code; what ends it early is one line on stderr that begins with `name`."""
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, which is no mistake
        _give_up_output()
        return 0
    except OSError as error:
        _give_up_output()
        reason = error.strerror or str(error)
        return _complain(name, f"{error.filename}: {reason}" if error.filename else reason, UserError.exit_code)
    except UserError as error:
        return _complain(name, str(error), error.exit_code)
    except KeyboardInterrupt as error:
        number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
        return _complain(name, STOPS[number][1], 128 + number)


def leave(command: Callable[[], int]) -> NoReturn:
    """Runs a command and ends the process; after a failure at once, since JAX would wait for the other hosts."""
    try:
        code = command()
    except Exception:
        traceback.print_exc()
        code = 1
    if code:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(code)
    sys.exit(0)


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Raises KeyboardInterrupt on Ctrl-C and Terminated on SIGTERM, at once.

    Where one lands in a callback whose exceptions are dropped, nothing is said, and the function that is given raises
    it when it is called next.
    """
    stopped: list[type[KeyboardInterrupt]] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(STOPS[signal.Signals(number)][0])
        raise stopped[-1]

    def check() -> None:
        if stopped:
            raise stopped[-1]

    def drop(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            previous_hook(unraisable)

    if threading.current_thread() is not threading.main_thread():  # signals go to the main thread alone
        yield lambda: None
        return
    previous, previous_hook = {number: signal.signal(number, stop) for number in STOPS}, sys.unraisablehook
    sys.unraisablehook = drop
    try:
        yield check
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        sys.unraisablehook = previous_hook


def _complain(name: str, message: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(f"{name}: {one_line(message)}", file=sys.stderr)
    return code


def _give_up_output() -> None:
    """Leads stdout to the null device if it cannot be written, or Python would complain of it once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
