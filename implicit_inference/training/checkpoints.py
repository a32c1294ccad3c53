"""Files kept of a stage in its course: parameters at evaluations, and the state and losses to go on from."""

import re
import time
from dataclasses import replace

from implicit_inference.runs import hosts
from implicit_inference.runs.store import Record, Run, interpreted
from implicit_inference.training.steps import TrainState


def kept_params(step: int) -> str:
    """Names the file of the parameters kept at an evaluation."""
    return f"params-{step}.safetensors"


def kept_steps(run: Run) -> list[int]:
    """Lists the steps at which a stage kept its parameters, ascending."""
    kept = (re.fullmatch(r"params-([0-9]+)\.safetensors", name) for name in run.info()["files"])
    return sorted(int(found[1]) for found in kept if found)


def kept_losses(run: Run, step: int, steps: int) -> list[Record]:
    """Reads the losses up to the checkpoint of a step, of `steps` in all.

    Those of its own step are not there if it was made before they were taken. Raises StoreError where the losses or the
    configuration are not those of this run.
    """
    run.config()
    records = run.training()
    with interpreted(run.path(f"checkpoint-{step}.parquet")):
        losses = [
            (record["step"], record["seed"], record["family"], record["predictor"], record["mean"] + 0.0)
            for record in records
        ]
        if max((record[0] for record in losses), default=0) > step or step > steps:
            raise ValueError(f"it has steps after {step}, of at most {steps}")
    return records


class Checkpoints:
    """Writes the state at first, and then so often that writing takes at most a twentieth of the time."""

    def __init__(self, writer: hosts.Writer, step: int):
        self.writer, self.cost, self.last, self.step = writer, 0.0, time.monotonic(), step

    def offer(self, state: TrainState, records: list[Record], step: int) -> None:
        """Keeps the state and the losses of a step if it is time to."""
        if hosts.agreed(time.monotonic() - self.last >= 20 * self.cost):
            self.save(state, records, step)

    def save(self, state: TrainState, records: list[Record], step: int) -> None:
        """Keeps the state and the losses of a step."""
        began = time.monotonic()
        self.writer.checkpoint(step, replace(state, frozen=None), records)
        self.last = time.monotonic()
        self.cost, self.step = self.last - began, step
