"""How close to exact Bayes pretraining comes in equal time: optimisers, tokens, shapes, batches, schedules.

Question: which settings of the `demo` preset give the best network for its time?
Command: python -m implicit_inference.bench.time_to_result
It takes about 15 minutes on 2 cores, and writes figures/data/time_to_result.csv below the working directory.

Each variant first takes turns with the others to have its step timed; then it is trained for as many steps as fit into
the same seconds of stepping, on seeds that the preset does not report on. What is compared is the excess over exact
Bayes on held-out prompts, averaged over the two families. Compiling and evaluating are not counted.
"""

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from implicit_inference.bench.timing import take_turns
from implicit_inference.bench.training import Trainer
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.chunks import chunk_length
from implicit_inference.config.fields import Config
from implicit_inference.config.flags import Parser, number
from implicit_inference.runs import process, runtime
from implicit_inference.runs.files import write_whole
from implicit_inference.runs.store import Record
from implicit_inference.training.loop import Trained, train_stage

VARIANTS: dict[str, dict[str, Any]] = {
    "muon": {},
    "adam": {"pretrain.optimizer": "adam", "pretrain.learning_rate": 3e-3},
    "adam, rate 1e-3": {"pretrain.optimizer": "adam", "pretrain.learning_rate": 1e-3},
    "adamw": {"pretrain.optimizer": "adamw", "pretrain.learning_rate": 3e-3, "pretrain.weight_decay": 0.1},
    "interleaved": {"prompts.tokens": "interleaved"},
    "2 layers": {"model.layers": 2},
    "6 layers": {"model.layers": 6},
    "2 layers of 64": {"model.layers": 2, "model.width": 64},
    "batch 32": {"pretrain.batch": 32},
    "batch 128": {"pretrain.batch": 128},
    "rate 1e-2 (demo)": {"pretrain.learning_rate": 1e-2},
    "constant rate": {"pretrain.final_fraction": 1.0},
}
SEEDS = [100, 101, 102, 103]
CHUNK = 25
TABLE = Path("figures", "data", "time_to_result.csv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains every variant; prints and writes the table."""
    parser = Parser(prog="implicit_inference.bench.time_to_result", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seconds", type=number("seconds", 86400.0), default=60.0, help="of stepping, for all seeds together"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args(arguments)
    runtime.prepare()
    configs = {
        name: override(PRESETS["demo"], {"seeds": SEEDS, "pretrain.learning_rate": 2e-2} | changes)
        for name, changes in VARIANTS.items()
    }
    step_seconds = timed_steps(configs)
    records = []
    for name, config in configs.items():
        steps = round(options.seconds / step_seconds[name] / 100) * 100
        records += [
            {"variant": name, "n": len(SEEDS), "steps": steps} | record
            for record in trained(override(config, {"pretrain.steps": steps}), step_seconds[name], options.runs)
        ]
        print(f"{name:16} {steps:6} steps: {records[-1]['excess']:.4f} +- {records[-1]['stderr']:.4f}", flush=True)
    lines = io.StringIO(newline="")
    writer = csv.DictWriter(lines, records[0])
    writer.writeheader()
    writer.writerows(records)
    write_whole(TABLE, lines.getvalue().encode())
    return 0


def timed_steps(configs: dict[str, Config]) -> dict[str, float]:
    """Seconds of a step of all seeds: medians of calls that take turns."""

    contestants = {name: Trainer(config, CHUNK).chunks() for name, config in configs.items()}
    return {name: times.median for name, times in take_turns(contestants, 7, CHUNK).items()}


def losses(table: list[Record], step: int, predictor: str) -> np.ndarray:
    """The loss of each seed, averaged over the families."""
    records = [record for record in table if (record["step"], record["predictor"]) == (step, predictor)]
    return np.array([np.mean([record["mean"] for record in records if record["seed"] == seed]) for seed in SEEDS])


def trained(config: Config, seconds: float, runs: Path) -> list[dict[str, float]]:
    """The excess over exact Bayes at every evaluation, mean and standard error over seeds."""
    run = train_stage(Trained.of(config, runs), "pretrain", lambda progress: None)
    table = run.read_table("training.parquet")
    steps = range(chunk_length(config.pretrain.steps), config.pretrain.steps + 1, chunk_length(config.pretrain.steps))
    records = []
    for step in steps:
        excess = losses(table, step, "network") - losses(table, step, "bayes")
        stderr = excess.std(ddof=1) / np.sqrt(len(SEEDS))
        records.append(
            {"step": step, "seconds": step * seconds, "excess": float(excess.mean()), "stderr": float(stderr)}
        )
    return records


if __name__ == "__main__":
    sys.exit(process.run("implicit_inference.bench.time_to_result", main))
