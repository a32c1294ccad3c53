"""Running the stages of an experiment: compiled over packed seeds, watched, kept, resumed."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from implicit_inference import keys
from implicit_inference.config import memory
from implicit_inference.config.changes import valid
from implicit_inference.config.chunks import chunk_length
from implicit_inference.config.errors import UserError, counted
from implicit_inference.config.fields import Config, TrainingConfig
from implicit_inference.config.identity import STAGES, parent_ids, parents_of, run_id, sections_of
from implicit_inference.network import decoder
from implicit_inference.network.predictions import predict
from implicit_inference.runs import devices, hosts
from implicit_inference.runs.drafts import tidy
from implicit_inference.runs.evaluate import PackedEvaluator
from implicit_inference.runs.runtime import pinned
from implicit_inference.runs.store import Row, Run, StoreError
from implicit_inference.training import optimisers
from implicit_inference.training.checkpoints import Checkpoints, kept_losses, kept_params
from implicit_inference.training.mixtures import held_out, log_weights, stage_tasks
from implicit_inference.training.stages import Stage, kept_shapes, stage_of
from implicit_inference.training.steps import TrainState, start, train_chunk
from implicit_inference.training.watching import Progress, Report, latest, refuse_divergence, validation_rows
from implicit_inference.worlds import Predictor, Prompts, described, world_of

VALIDATION_PROMPTS = 512


class Lab:
    """A configuration's compiled programs, shared by its stages; everything runs over packed seeds."""

    def __init__(self, config: Config, runs: Path, mesh: Mesh | None = None):
        self.config, self.runs = valid(config, set()), runs
        batch = math.gcd(*(getattr(config, stage).batch for stage in STAGES if stage != "probe"))
        self.mesh = mesh or devices.make_mesh(len(config.seeds), batch)
        if (own := {device.process_index for device in self.mesh.devices.flat}) != set(range(jax.process_count())):
            raise UserError(
                f"{counted(len(config.seeds), 'seed')} and batches of {batch} reach {len(own)} of "
                f"{counted(jax.process_count(), 'host')}; "
                "choose numbers that the devices divide"
            )
        self.seeds = devices.shard_seeds(jnp.array(config.seeds, jnp.uint32), self.mesh)
        self.evaluator = PackedEvaluator(self.mesh)
        self.world = world_of(self.config)
        self._chunks: dict[Any, Callable[..., Any]] = {}
        self._exact: dict[Any, Callable[..., Any]] = {}

    @property
    def alone(self) -> bool:
        """Whether no other host takes part."""
        return jax.process_count() == 1

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

    def over_seeds(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return devices.over_seeds(function, self.mesh)

    def predict(self, params: decoder.Params, prompts: Prompts, control: Array | None = None) -> Array:
        """The network as a function of its parameters."""
        return predict(self.config, params, prompts, control)

    def network(self, params: decoder.Params, control: int | None = None) -> Predictor:
        """The network as a predictor; a controlled one under the control of this index, or without any.

        Raises ValueError for a control that the network does not have.
        """
        if control is None:
            return jax.tree_util.Partial(self.predict, params)
        known = len(self.config.control.grades) if "controls" in params else 0
        if not 0 <= control < known:
            raise ValueError(f"control {control}: the network has {known} controls, counted from 0")
        return jax.tree_util.Partial(self.predict, params, control=self.packed(control))

    @pinned()
    def packed(self, tree: Any) -> Any:
        """Repeats a tree for every seed."""
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(self.config.seeds), *jnp.shape(leaf))), tree)

    def params_of(self, stage: str, step: int | None = None) -> decoder.Params:
        """The parameters of a finished stage, packed over seeds; or those kept after `step` steps.

        Raises StoreError for a stage that is not finished, or whose files are not those of this configuration.
        """
        run = self.finished_run(stage)
        shapes = kept_shapes(self.config, stage)
        like = jax.tree.map(lambda leaf: leaf.update(shape=(len(self.config.seeds), *leaf.shape)), shapes)
        name = "params.safetensors" if step is None else kept_params(step)
        return devices.shard_seeds(run.read_tree(name, like), self.mesh)

    def loss(self, predictions: Array, batch: Any) -> Array:
        """The loss at every position [..., K], against the truth of the batch."""
        return self.world.score.loss(predictions, self.world.truth(batch))

    @cached_property
    def validation(self) -> dict[str, Any]:
        """Prompts of each family to watch training with, packed over seeds."""

        def draw(seed: Array) -> dict[str, Any]:
            return {f: held_out(self.config, seed, "validation", f, VALIDATION_PROMPTS) for f in self.config.families}

        return self.over_seeds(draw)(self.seeds)

    def bayes_losses(self, training: TrainingConfig) -> Callable[..., dict[str, Array]]:
        """The compiled (seeds, validation) -> loss [S] of exact Bayes under a stage's prior, by family."""
        kind = (training.tasks, training.n_tasks, training.narrow_std, training.replay)

        def losses(seed: Array, weights: Array, validation: dict[str, Any]) -> dict[str, Array]:
            tasks = stage_tasks(self.config, training, seed, weights)
            exact = self.world.exact(tasks)
            return {f: jnp.mean(self.loss(exact(batch.prompts), batch)) for f, batch in validation.items()}

        compiled = self._exact.setdefault(kind, self.over_seeds(losses))
        weights = self.packed(log_weights(training.discrete_prob))
        return lambda seeds, validation: compiled(seeds, weights, validation)

    @cached_property
    def is_finite(self) -> Callable[[Any], Array]:
        """The compiled params -> whether all numbers of a seed are finite [S]."""
        return self.over_seeds(
            lambda params: jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(params)]).all()
        )

    def chunk(self, name: str, n_steps: int) -> Callable[..., Any]:
        """The compiled program of `n_steps` steps of a stage.

        (seeds, stream keys, sources, schedules, states) -> (states, losses). What is drawn from and the learning rates
        are data, so that stages with the same recipe share one program. The states that go in are used up.
        """
        stage = stage_of(self.config, name)
        if (recipe := (stage.recipe, n_steps)) not in self._chunks:
            slices = self.slices(stage.training)

            def one_seed(seed: Array, key: Array, source: Any, rate: optimisers.Schedule, state: TrainState) -> Any:
                def predict(params: Any, shown: Any) -> Array:
                    return stage.predict(stage.merge(params, state.frozen), shown)

                return train_chunk(
                    state,
                    key,
                    n_steps,
                    partial(stage.draw, seed, source, own=devices.own_part),
                    predict,
                    self.world.score.loss,
                    optimisers.make_optimizer(stage.training, rate),
                    slices,
                    devices.batch_mean,
                    stage.penalty(state.frozen),
                )

            self._chunks[recipe] = devices.over_seeds(one_seed, self.mesh, donate=(4,))
        return self._chunks[recipe]

    def slices(self, training: TrainingConfig) -> int:
        """The slices in which a device takes its part of a batch."""
        tokens = described(self.config.world).sizes(self.config)["tokens"]
        return devices.slices(self.mesh, training.batch, tokens * self.config.model.width)

    def validate(self, stage: Stage, params: decoder.Params, families: tuple[str, ...]) -> dict[str, np.ndarray]:
        """The noise-free loss [S] on each family's validation prompts, averaged over all positions."""
        losses = {}
        for family, batch in ((family, self.validation[family]) for family in families):
            network = self.network(params, stage.control(family))
            predictions = self.evaluator.predict(network, None, batch.prompts)
            losses[family] = np.mean(hosts.gathered(self.loss(predictions, batch)), axis=(1, 2))
        return losses


@pinned()
def train_stage(lab: Lab, name: str, report: Report) -> Run:
    """Bring a stage to its end: skip it if finished, resume it if begun, wait for another process that is at it.

    Its parents must be finished. Raises TrainingDivergedError when a loss is not finite: the last checkpoint before it
    stays. On KeyboardInterrupt between two chunks the state is kept; within one, the last checkpoint.
    """
    run = lab.run_of(name)
    if hosts.agreed(run.finished):
        hosts.agreed_everywhere("what is finished", run.finished)
        tidy(run)
        return run
    valid(lab.config, sections_of(name))
    if jax.process_count() == 1:
        memory.check(lab.config, (name,))
    for parent in parents_of(name, lab.config):
        lab.finished_run(parent)
    with hosts.writing(run) as writer:
        if not hosts.agreed_everywhere("what is finished", run.finished):
            _train(lab, name, report, writer)
    return run


def _train(lab: Lab, name: str, report: Report, writer: hosts.Writer) -> None:
    """Train a stage that this process owns, from its beginning or from its checkpoint."""
    began, run = time.monotonic(), writer.run
    stage = stage_of(lab.config, name)
    training = stage.training
    parents = tuple(lab.params_of(parent) for parent in stage.parents)
    state, merged = first_state(lab, stage, parents), lab.over_seeds(stage.merge)
    rows: list[Row] = []
    step, checked = run.checkpoint or 0, True
    resumed = hosts.agreed_everywhere("what was begun", run.checkpoint is not None)
    if resumed:
        moving = run.read_tree(f"checkpoint-{step}.safetensors", replace(state, frozen=None))
        state = replace(devices.shard_seeds(moving, lab.mesh), frozen=state.frozen)
        rows = kept_losses(run, step, training.steps)
    else:
        writer.begin(lab.config, parent_ids(name, lab.config))
    saved = Checkpoints(writer, step)
    length = chunk_length(training.steps)
    stream = lab.over_seeds(lambda seed: keys.stream(seed, name))(lab.seeds)
    source = lab.over_seeds(stage.source)(lab.seeds, parents)
    rate = lab.packed(optimisers.schedule(training))
    families = described(lab.config.world).families if name == "pretrain" else lab.config.families
    exact = lab.bayes_losses(stage.reference)(lab.seeds, {family: lab.validation[family] for family in families})
    exact = hosts.gathered(exact)
    try:
        while True:
            params = merged(state.params, state.frozen)
            if not rows or rows[-1]["step"] < step:
                losses = {"network": lab.validate(stage, params, families), "bayes": exact}
                by_family = np.stack([*losses["network"].values()], axis=1)
                refuse_divergence(name, training, lab.config.seeds, [step] * len(families), by_family, saved.step)
                rows += validation_rows(lab.config.seeds, step, losses)
            if training.keep_every and step % (length * training.keep_every) == 0:
                writer.keep(kept_params(step), params)
            report(Progress(name, step, training.steps, latest(rows)))
            if step == training.steps:
                break
            saved.offer(state, rows, step)
            checked = False
            n_steps = min(length, training.steps - step)
            state, taken = lab.chunk(name, n_steps)(lab.seeds, stream, source, rate, state)
            taken, finite = hosts.gathered((taken, lab.is_finite(state.params)))
            after = np.where(finite, 0.0, np.nan)  # losses are taken before each update
            steps, taken = [*range(step + 1, step + n_steps + 1), step + n_steps], np.column_stack([taken, after])
            refuse_divergence(name, training, lab.config.seeds, steps, taken, saved.step)
            step, checked = step + n_steps, True
    except KeyboardInterrupt:
        if checked and jax.process_count() == 1:
            saved.save(state, rows, step)
        raise
    writer.finish(params, rows, time.monotonic() - began, resumed)


def first_state(lab: Lab, stage: Stage, parents: tuple[decoder.Params, ...]) -> TrainState:
    optimizer = optimisers.make_optimizer(stage.training)

    def one_seed(seed: Array, parents: tuple[decoder.Params, ...]) -> TrainState:
        trained, frozen = stage.start(seed, parents)
        return start(trained, optimizer, frozen)

    return lab.over_seeds(one_seed)(lab.seeds, parents)
