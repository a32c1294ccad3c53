"""The memory of a run by stage: the peak resident memory of a process that does this stage alone.

Command: python -m implicit_inference.bench.memory [PRESET ...]
         (prints a table; `demo` unless another is named: some minutes on 2 cores, `paper` many times as long)

A stage takes all its memory at once, so it is cut short: training takes STEPS steps, and a probe ends after the first
way to show its prompts. What this leaves out is the data of longer chunks: a chunk holds that of all its steps. The
last row is one process that does all stages, as `implicit-inference run` does. Every program is compiled anew, which
takes more memory than reading it from the cache.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.errors import UserError, refuse
from implicit_inference.config.fields import Config
from implicit_inference.config.flags import Parser
from implicit_inference.measure.probe import probe
from implicit_inference.runs import process, runtime
from implicit_inference.training.loop import Trained, train_stage

NAME = "implicit_inference.bench.memory"
STEPS = 2
STAGES = ("pretrain", "scratch", "finetune", "probe")
PARTS = (*((stage,) for stage in STAGES), STAGES)
"""The stages of each process."""
COLUMNS = ("preset", "stage", "imported MB", "at its first line MB", "peak MB")
STATUS = Path("/proc/self/status")


def rows(preset: str, seconds: float = math.inf) -> Iterable[list[str]]:
    """Measures the stages of a preset, a process for each, then one for all; none begins after so many seconds."""
    end, anew = time.monotonic() + seconds, os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    with tempfile.TemporaryDirectory() as alone, tempfile.TemporaryDirectory() as together:
        for runs, part in [*((alone, part) for part in PARTS[:-1]), (together, PARTS[-1])]:
            if time.monotonic() > end:
                yield [preset, ", ".join(part), "no time left"]
                continue
            command = [sys.executable, "-m", NAME, preset, "--stages", *part, "--runs", runs]
            done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=anew)
            if done.returncode:
                raise UserError(f"{preset}, {', '.join(part)}: its process ended with exit code {done.returncode}")
            yield [preset, ", ".join(part), *(f"{size:.0f}" for size in json.loads(done.stdout))]


class EnoughError(Exception):
    """Ends a probe that has shown its prompts in one way."""


def measured(config: Config, stages: Sequence[str], runs: Path) -> list[float]:
    """Does stages in this process; returns its peak memory before, at the first report of how far it is, and after."""
    sizes = [peak()]
    trained = Trained.of(config, runs)

    def report(done: int, total: int) -> None:
        sizes.append(peak())
        if done:
            raise EnoughError

    for stage in stages:
        if stage == "probe":
            try:
                probe(trained, report)
            except EnoughError:
                continue
        else:
            train_stage(trained, stage, lambda progress: sizes.append(peak()))
    return [*sizes[:2], peak()]


def short(config: Config) -> Config:
    """Cuts the training of a configuration to STEPS steps, none of them with a lower rate."""
    steps = {"pretrain.steps": STEPS, "finetune.steps": STEPS, "probe.scratch_steps": STEPS}
    return override(config, steps | {"pretrain.warmup": 0, "finetune.warmup": 0})


def peak() -> float:
    """Reads the peak resident memory of this process, in MB.

    The system's other count, ru_maxrss, begins at the size of the process that started this one.
    """
    if STATUS.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", STATUS.read_text())):
        return int(found[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; given stages, does them and prints the sizes of this process."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog=f"python -m {NAME}")
    parser.add_argument("presets", nargs="*", metavar="PRESET", default=["demo"], help=f"{', '.join(PRESETS)}")
    parser.add_argument("--stages", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for preset in options.presets:
        if preset not in PRESETS:
            refuse("PRESET", preset, ", ".join(PRESETS))
    if options.stages:
        runtime.prepare()
        print(json.dumps(measured(short(PRESETS[options.presets[0]]), options.stages, options.runs)))
        return 0
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for preset in options.presets:
        for row in rows(preset):
            print(f"| {' | '.join(row)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(process.run(NAME, main))
