"""Runs an arm: its seeds in processes of their own, from their launch to the last one's end."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from implicit_inference.bench.road.curves import Lane, read_lane
from implicit_inference.bench.road.recipes import Arm
from implicit_inference.config.changes import plain
from implicit_inference.config.errors import UserError
from implicit_inference.config.fields import Config
from implicit_inference.runs.process import interruptible
from implicit_inference.runs.runtime import cores


def train(arm: Arm, config: Config, seeds: Sequence[int], goal: float, minutes: float) -> list[Lane]:
    """Trains the seeds in processes of their own until all are within `goal`, or the minutes are over."""
    lanes = arm.lanes(seeds)
    with tempfile.TemporaryDirectory() as directory:
        if arm.worker == "plain":
            hand_over(config, seeds, Path(directory))
        job = {
            "config": plain(config),
            "goal": goal,
            "steps": config.pretrain.steps,
            "seconds": 60 * minutes / len(lanes[0]),
            "threads": max(1, len(cores()) // arm.processes),
            "held_out": directory,
        }
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": directory}
        workers: list[subprocess.Popen[str]] = []
        with ExitStack() as stack:
            stack.enter_context(interruptible())
            for groups in lanes:
                text = json.dumps(job | {"groups": groups, "launched": time.monotonic()})
                command = [sys.executable, "-m", f"implicit_inference.bench.road.{arm.worker}", text]
                worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
                workers.append(stack.enter_context(worker))
                stack.callback(worker.kill)
            printed = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise UserError(f"a process of bench.road.{arm.worker} failed; its reason stands above")
    return [read_lane(text) for text in printed]


def hand_over(config: Config, seeds: Sequence[int], directory: Path) -> None:
    """Writes what workers in PyTorch are handed of each seed; raises UserError without PyTorch."""
    if not find_spec("torch"):
        raise UserError('PyTorch is not installed; pip install -e ".[bench]" brings it')
    from implicit_inference.bench.road.compiled import handed_over

    for seed, arrays in handed_over(config, seeds).items():
        np.savez(directory / f"{seed}.npz", **arrays)
