"""Running the stages of an experiment in a directory of runs: watched, kept, resumed."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from implicit_inference import keys
from implicit_inference.config import memory
from implicit_inference.config.changes import valid
from implicit_inference.config.chunks import chunk_length
from implicit_inference.config.fields import Config
from implicit_inference.config.identity import parent_ids, parents_of, run_id, sections_of
from implicit_inference.keys import Stream
from implicit_inference.network import decoder
from implicit_inference.runs import hosts
from implicit_inference.runs.drafts import tidy
from implicit_inference.runs.runtime import pinned
from implicit_inference.runs.store import Record, Run, StoreError
from implicit_inference.training import optimisers
from implicit_inference.training.checkpoints import Checkpoints, kept_losses, kept_params
from implicit_inference.training.programs import Programs
from implicit_inference.training.stages import Stage, kept_shapes, stage_of
from implicit_inference.training.watching import Progress, Report, latest, refuse_divergence, validation_records
from implicit_inference.worlds import Predictor, described


@dataclass(frozen=True)
class Trained:
    """The stages of a configuration, in a directory of runs."""

    programs: Programs
    runs: Path

    @classmethod
    def of(cls, config: Config, runs: Path) -> "Trained":
        """The stages of a configuration, with programs of their own."""
        return cls(Programs(config), runs)

    @property
    def config(self) -> Config:
        """The configuration in its one form."""
        return self.programs.config

    def run_of(self, stage: str) -> Run:
        """The directory of a stage of this configuration."""
        return Run(self.runs / run_id(stage, self.config))

    def finished_run(self, stage: str) -> Run:
        """The directory of a stage that later ones rest on.

        Raises StoreError unless the stage is finished and its configuration is this one.
        """
        run = self.run_of(stage)
        if not run.finished:
            raise StoreError(f"{run.id}: must be finished before anything rests on it")
        run.config()
        return run

    def params_of(self, stage: str, step: int | None = None) -> decoder.Params:
        """The parameters of a finished stage, packed over seeds; or those kept after `step` steps.

        Raises StoreError for a stage that is not finished, or whose files are not those of this configuration.
        """
        run = self.finished_run(stage)
        shapes = kept_shapes(self.config, stage)
        like = jax.tree.map(lambda leaf: leaf.update(shape=(len(self.config.seeds), *leaf.shape)), shapes)
        name = "params.safetensors" if step is None else kept_params(step)
        return self.programs.packed.sharded(run.read_tree(name, like))

    def parent_params(self, stage: Stage) -> tuple[decoder.Params, ...]:
        """Reads the parameters of the stages that a stage rests on, packed over seeds.

        A stranger's are those of the next seed with the same tasks, `worlds` places on.
        """
        found = [self.params_of(parent) for parent in stage.parents]
        if stage.of_stranger:
            places = -self.config.worlds
            found[-1] = jax.tree.map(lambda leaf: jnp.roll(leaf, places, axis=0), found[-1])
            found[-1] = self.programs.packed.sharded(found[-1])
        return tuple(found)

    def network(self, stage: str, step: int | None = None, control: int | None = None) -> Predictor:
        """The network after a stage, or in its course; under a control, if it has any.

        Of `steer`, under the control of the preferred family unless another is named.
        """
        if stage == "steer" and control is None:
            control = stage_of(self.config, stage).control(described(self.config.world).preferred)
        return self.programs.network(self.params_of(stage, step), control)


@pinned()
def train_stage(trained: Trained, name: str, report: Report) -> Run:
    """Bring a stage to its end: skip it if finished, resume it if begun, wait for another process that is at it.

    Its parents must be finished. Raises TrainingDivergedError when a loss is not finite: the last checkpoint before it
    stays. On KeyboardInterrupt between two chunks the state is kept; within one, the last checkpoint.
    """
    run = trained.run_of(name)
    if hosts.agreed(run.finished):
        hosts.agreed_everywhere("what is finished", run.finished)
        tidy(run)
        return run
    valid(trained.config, sections_of(name))
    if hosts.alone():
        memory.check(trained.config, (name,))
    for parent in parents_of(name, trained.config):
        trained.finished_run(parent)
    with hosts.writing(run) as writer:
        if not hosts.agreed_everywhere("what is finished", run.finished):
            _train(trained, name, report, writer)
    return run


def _train(trained: Trained, name: str, report: Report, writer: hosts.Writer) -> None:
    """Train a stage that this process owns, from its beginning or from its checkpoint."""
    began, run = time.monotonic(), writer.run
    programs, config = trained.programs, trained.config
    packed, stage = programs.packed, stage_of(config, name)
    training = stage.training
    parents = trained.parent_params(stage)
    state, merged = programs.first_state(stage, parents), packed.program(stage.merge)
    records: list[Record] = []
    step, checked = run.checkpoint or 0, True
    resumed = hosts.agreed_everywhere("what was begun", run.checkpoint is not None)
    if resumed:
        moving = run.read_tree(f"checkpoint-{step}.safetensors", replace(state, frozen=None))
        state = replace(packed.sharded(moving), frozen=state.frozen)
        records = kept_losses(run, step, training.steps)
    else:
        writer.begin(config, parent_ids(name, config))
    saved = Checkpoints(writer, step)
    length = chunk_length(training.steps)
    stream = packed.by_seed(lambda seed: keys.stream(seed, Stream(name)))
    source = packed.program(stage.source)(packed.seeds, parents)
    rate = packed.repeated(optimisers.schedule(training))
    families = described(config.world).families if name == "pretrain" else config.families
    exact = programs.bayes_losses(stage.reference)(
        packed.seeds, {family: programs.validation[family] for family in families}
    )
    exact = hosts.gathered(exact)
    try:
        while True:
            params = merged(state.params, state.frozen)
            if not records or records[-1]["step"] < step:
                losses = {"network": programs.validate(stage, params, families), "bayes": exact}
                by_family = np.stack([*losses["network"].values()], axis=1)
                refuse_divergence(name, training, config.seeds, [step] * len(families), by_family, saved.step)
                records += validation_records(config.seeds, step, losses)
            if training.keep_every and step % (length * training.keep_every) == 0:
                writer.keep(kept_params(step), params)
            report(Progress(name, step, training.steps, latest(records)))
            if step == training.steps:
                break
            saved.offer(state, records, step)
            checked = False
            n_steps = min(length, training.steps - step)
            state, taken = programs.chunk(name, n_steps)(packed.seeds, stream, source, rate, state)
            taken, finite = hosts.gathered((taken, programs.is_finite(state.params)))
            after = np.where(finite, 0.0, np.nan)  # losses are taken before each update
            steps, taken = [*range(step + 1, step + n_steps + 1), step + n_steps], np.column_stack([taken, after])
            refuse_divergence(name, training, config.seeds, steps, taken, saved.step)
            step, checked = step + n_steps, True
    except KeyboardInterrupt:
        if checked and hosts.alone():
            saved.save(state, records, step)
        raise
    writer.finish(params, records, time.monotonic() - began, resumed)
