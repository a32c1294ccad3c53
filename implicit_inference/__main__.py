"""The command's door: Ctrl-C and SIGTERM are one line from the first import on."""

import io
import os
import signal
import sys
from types import FrameType
from typing import TextIO

from implicit_inference.config.errors import STOPPED


def main() -> int:
    """Runs the command line; returns its exit code."""
    for number in STOPPED:
        signal.signal(number, _stop)
    os.environ["MPLBACKEND"] = "agg"  # a notebook's backend may not even be importable here
    sys.stdout, sys.stderr = (_printable(stream) for stream in (sys.stdout, sys.stderr))
    try:
        from implicit_inference import cli

        code = cli.main()
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, which is no mistake
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if code in dict(STOPPED.values()):
        os._exit(code)  # the compiler's threads may not survive an orderly end
    return code


def _printable(stream: TextIO | None) -> TextIO:
    """The stream, which any letter may be written to; where it was closed, one that nobody reads."""
    if stream is None:
        return open(os.devnull, "w")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _stop(number: int, frame: FrameType | None) -> None:
    """Ends the process at once; while a stage trains, progress.py takes signals, and the state is kept."""
    code, word = STOPPED[signal.Signals(number)]
    os.write(2, f"implicit-inference: {word}\n".encode())
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
