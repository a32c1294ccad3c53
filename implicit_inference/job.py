"""One job of a sweep, as a process: reads a line of JSON, trains and measures stages of one configuration.

Its standard input stays open while its driver lives; at its end the job keeps its state and ends, too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

from implicit_inference.runs import process

NAME = "implicit-inference"


def main() -> int:
    """Does the job that stands in the first line of standard input; returns its exit code."""

    def work() -> int:
        line = sys.stdin.buffer.readline()
        threading.Thread(target=_end_with_the_driver, daemon=True).start()
        job = json.loads(line)
        do(job["config"], job["stages"], Path(job["runs"]))
        return 0

    return process.run(NAME, work)


def do(fields: dict[str, object], stages: list[str], runs: Path) -> None:
    """Brings stages to their end, given all fields of a configuration; skips what is finished, resumes the rest."""
    from implicit_inference import api
    from implicit_inference.config.changes import base, override

    config = override(base(str(fields["world"])), fields)
    with process.interruptible() as check:
        trained = api.prepared(config, runs, stages)
        from implicit_inference.measure.probe import probe
        from implicit_inference.training.loop import train_stage

        for stage in stages:
            if stage == "probe":
                probe(trained, lambda done, total: check())
            else:
                train_stage(trained, stage, lambda progress: check())


def _end_with_the_driver() -> None:
    """Asks this process to end when the driver has, whose end closes standard input."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    process.begin(NAME)
    process.leave(main)
