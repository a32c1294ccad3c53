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

from implicit_inference import hosts, keys, memory, model, network, optimize, parallel, train
from implicit_inference.config import FAMILIES, STAGES, Config, run_id, sections_of, valid
from implicit_inference.errors import UserError
from implicit_inference.evaluate import PackedEvaluator
from implicit_inference.notation import counted
from implicit_inference.progress import Progress, Report
from implicit_inference.regression.bayes import bayes_predictor
from implicit_inference.regression.conjugate import Identity
from implicit_inference.regression.prompts import Batch, Predictor, Prompts, token_shape
from implicit_inference.rows import Row
from implicit_inference.runtime import pinned
from implicit_inference.sections import TrainingConfig
from implicit_inference.stages import Stage, kept_shapes, stage_of
from implicit_inference.store import Run
from implicit_inference.world import held_out, log_weights, stage_tasks

EVALUATIONS = 20
VALIDATION_PROMPTS = 512


class TrainingDivergedError(UserError):
    """The loss stopped being a number; the last good state is kept."""

    exit_code = 1


class Lab:
    """A configuration's compiled programs, shared by its stages; everything runs over packed seeds."""

    def __init__(self, config: Config, runs: Path, mesh: Mesh | None = None):
        self.config, self.runs = valid(config, set()), runs
        batch = math.gcd(*(getattr(config, stage).batch for stage in STAGES if stage != "probe"))
        self.mesh = mesh or parallel.make_mesh(len(config.seeds), batch)
        if (own := {device.process_index for device in self.mesh.devices.flat}) != set(range(jax.process_count())):
            raise UserError(
                f"{counted(len(config.seeds), 'seed')} and batches of {batch} reach {len(own)} of "
                f"{counted(jax.process_count(), 'host')}; "
                "choose numbers that the devices divide"
            )
        self.seeds = parallel.shard_seeds(jnp.array(config.seeds, jnp.uint32), self.mesh)
        self.evaluator = PackedEvaluator(self.mesh)
        self._chunks: dict[Any, Callable[..., Any]] = {}
        self._exact: dict[Any, Callable[..., Any]] = {}

    def run_of(self, stage: str) -> Run:
        """The directory of a stage of this configuration."""
        return Run(self.runs / run_id(stage, self.config))

    def over_seeds(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return parallel.over_seeds(function, self.mesh)

    def predict(self, params: model.Params, prompts: Prompts, control: Array | None = None) -> Array:
        """The network as a function of its parameters."""
        return network.predict(self.config, params, prompts, control)

    def network(self, params: model.Params, control: int | None = None) -> Predictor:
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
        """The same tree for every seed."""
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(self.config.seeds), *jnp.shape(leaf))), tree)

    def params_of(self, stage: str, step: int | None = None) -> model.Params:
        """The parameters of a finished stage, packed over seeds; or those kept after `step` steps."""
        shapes = kept_shapes(self.config, stage)
        like = jax.tree.map(lambda leaf: leaf.update(shape=(len(self.config.seeds), *leaf.shape)), shapes)
        name = "params.safetensors" if step is None else kept_params(step)
        return parallel.shard_seeds(self.run_of(stage).read_tree(name, like), self.mesh)

    @cached_property
    def validation(self) -> dict[str, Batch]:
        """Prompts of each family to watch training with, packed over seeds."""

        def draw(seed: Array) -> dict[str, Batch]:
            return {f: held_out(self.config, seed, "validation", f, VALIDATION_PROMPTS) for f in self.config.families}

        return self.over_seeds(draw)(self.seeds)

    def bayes_losses(self, training: TrainingConfig) -> Callable[..., dict[str, Array]]:
        """The compiled (seeds, validation) -> loss [S] of exact Bayes under a stage's prior, by family."""
        kind = (training.tasks, training.n_tasks, training.narrow_std, training.replay)

        def losses(seed: Array, weights: Array, validation: dict[str, Batch]) -> dict[str, Array]:
            tasks = stage_tasks(self.config, training, seed, weights)
            exact = bayes_predictor(tasks, jnp.asarray(self.config.tasks.noise_std))
            return {f: jnp.mean((exact(b.prompts) - b.clean_labels) ** 2) for f, b in validation.items()}

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

            def one_seed(seed: Array, key: Array, source: Any, rate: optimize.Schedule, state: train.TrainState) -> Any:
                def predict(params: Any, shown: Any) -> Array:
                    return stage.predict(stage.merge(params, state.frozen), shown)

                return train.train_chunk(
                    state,
                    key,
                    n_steps,
                    partial(stage.draw, seed, source, own=parallel.own_part),
                    predict,
                    optimize.make_optimizer(stage.training, rate),
                    slices,
                    parallel.batch_mean,
                    stage.penalty(state.frozen),
                )

            self._chunks[recipe] = parallel.over_seeds(one_seed, self.mesh, donate=(4,))
        return self._chunks[recipe]

    def slices(self, training: TrainingConfig) -> int:
        """The slices in which a device takes its part of a batch."""
        length, _ = token_shape(self.config.prompts.tokens, self.config.tasks.dim, self.config.prompts.length)
        return parallel.slices(self.mesh, training.batch, length * self.config.model.width)

    def validate(self, stage: Stage, params: model.Params, families: tuple[str, ...]) -> dict[str, np.ndarray]:
        """The noise-free loss [S] on each family's validation prompts, averaged over all positions."""
        losses = {}
        for family, batch in ((family, self.validation[family]) for family in families):
            network = self.network(params, stage.control(family))
            predictions = self.evaluator.predict(network, self.packed(Identity()), batch.prompts)
            losses[family] = np.mean(np.square(hosts.gathered(predictions - batch.clean_labels)), axis=(1, 2))
        return losses


@pinned()
def train_stage(lab: Lab, name: str, report: Report) -> Run:
    """Bring a stage to its end: skip it if finished, resume it if begun.

    Its parents must be finished. Raises TrainingDivergedError when a loss is not finite: the last checkpoint before it
    stays. On KeyboardInterrupt between two chunks the state is kept; within one, the last checkpoint.
    """
    run = lab.run_of(name)
    hosts.same_everywhere("what is finished", run.finished)
    if run.finished:
        return run
    began = time.monotonic()
    valid(lab.config, sections_of(name))
    if jax.process_count() == 1:
        memory.check(lab.config, (name,))
    stage = stage_of(lab.config, name)
    training = stage.training
    parents = tuple(lab.params_of(parent) for parent in stage.parents)
    state, merged = first_state(lab, stage, parents), lab.over_seeds(stage.merge)
    writer = hosts.Writer(run)
    rows: list[Row] = []
    step, checked = 0, True
    resumed = run.path("checkpoint.safetensors").exists()
    hosts.same_everywhere("what was begun", resumed)
    if resumed:
        moving = run.read_tree("checkpoint.safetensors", replace(state, frozen=None))
        state = replace(parallel.shard_seeds(moving, lab.mesh), frozen=state.frozen)
        step = int(hosts.gathered(state.step)[0])
        rows = [row for row in run.read_table("training.parquet") if row["step"] <= step]
    else:
        writer.begin(lab.config, [lab.run_of(parent).id for parent in stage.parents])
    saved = _Checkpoints(writer)
    length = chunk_length(training.steps)
    stream = lab.over_seeds(lambda seed: keys.stream(seed, name))(lab.seeds)
    source = lab.over_seeds(stage.source)(lab.seeds, parents)
    rate = lab.packed(optimize.schedule(training))
    families = FAMILIES if name == "pretrain" else lab.config.families
    exact = lab.bayes_losses(stage.reference)(lab.seeds, {family: lab.validation[family] for family in families})
    exact = hosts.gathered(exact)
    try:
        while True:
            params = merged(state.params, state.frozen)
            if not rows or rows[-1]["step"] < step:
                losses = {"network": lab.validate(stage, params, families), "bayes": exact}
                rows += _validation_rows(lab.config.seeds, step, losses)
            if training.keep_every and step % (length * training.keep_every) == 0:
                writer.write_tree(kept_params(step), params)
            report(Progress(name, step, training.steps, _latest(rows)))
            if step == training.steps:
                break
            saved.offer(state, rows, step)
            checked = False
            n_steps = min(length, training.steps - step)
            state, taken = lab.chunk(name, n_steps)(lab.seeds, stream, source, rate, state)
            taken, finite = hosts.gathered((taken, lab.is_finite(state.params)))
            _refuse_divergence(name, training, lab.config.seeds, step, taken, finite, saved.step)
            step, checked = step + n_steps, True
    except KeyboardInterrupt:
        if checked and jax.process_count() == 1:
            saved.save(state, rows, step)
        raise
    writer.write_tree("params.safetensors", params)
    writer.write_table("training.parquet", rows)
    writer.finish(time.monotonic() - began, resumed)
    return run


def first_state(lab: Lab, stage: Stage, parents: tuple[model.Params, ...]) -> train.TrainState:
    optimizer = optimize.make_optimizer(stage.training)

    def one_seed(seed: Array, parents: tuple[model.Params, ...]) -> train.TrainState:
        trained, frozen = stage.start(seed, parents)
        return train.start(trained, optimizer, frozen)

    return lab.over_seeds(one_seed)(lab.seeds, parents)


def chunk_length(steps: int) -> int:
    """Steps between two evaluations: about 1/EVALUATIONS of all, a divisor of `steps` where there is one near.

    At most memory.LONGEST_CHUNK, since a chunk holds the data of all its steps.
    """
    longest = min(max(1, -(-steps // EVALUATIONS)), memory.LONGEST_CHUNK)
    return next((n for n in range(longest, longest // 2, -1) if steps % n == 0), longest)


def kept_params(step: int | str) -> str:
    """The file of the parameters kept at an evaluation."""
    return f"params-{step}.safetensors"


def kept_steps(run: Run) -> list[int]:
    """The steps at which a stage kept its parameters, ascending."""
    return sorted(int(path.stem.split("-")[1]) for path in run.directory.glob(kept_params("*")))


class _Checkpoints:
    """Writes the state at first, and then so often that writing takes at most a twentieth of the time."""

    def __init__(self, writer: hosts.Writer):
        self.writer, self.cost, self.last, self.step = writer, 0.0, time.monotonic(), 0

    def offer(self, state: train.TrainState, rows: list[Row], step: int) -> None:
        if hosts.agreed(time.monotonic() - self.last >= 20 * self.cost):
            self.save(state, rows, step)

    def save(self, state: train.TrainState, rows: list[Row], step: int) -> None:
        began = time.monotonic()
        self.writer.write_table("training.parquet", rows)
        self.writer.write_tree("checkpoint.safetensors", replace(state, frozen=None))
        self.last = time.monotonic()
        self.cost, self.step = self.last - began, step


def _validation_rows(seeds: tuple[int, ...], step: int, losses: dict[str, dict[str, np.ndarray]]) -> list[Row]:
    return [
        {"step": step, "seed": seed, "prompts": family, "predictor": predictor, "mean": float(loss[s])}
        for predictor, by_family in losses.items()
        for family, loss in by_family.items()
        for s, seed in enumerate(seeds)
    ]


def _latest(rows: list[Row]) -> dict[str, tuple[float, float]]:
    def mean(family: str, predictor: str) -> float:
        last = rows[-1]["step"]
        chosen = [r["mean"] for r in rows if (r["step"], r["prompts"], r["predictor"]) == (last, family, predictor)]
        return float(np.mean(chosen))

    return {family: (mean(family, "network"), mean(family, "bayes")) for family in FAMILIES}


def _refuse_divergence(
    stage: str,
    training: TrainingConfig,
    seeds: tuple[int, ...],
    step: int,
    losses: np.ndarray,
    finite: np.ndarray,
    kept: int,
) -> None:
    """`losses` [S, steps] were taken before each update, so `finite` [S] tells of the last one."""
    bad = np.argwhere(~np.isfinite(np.column_stack([losses, np.where(finite, 0.0, np.nan)])))
    if len(bad):
        seed_index, first = bad[np.argmin(bad[:, 1])]
        last = step + min(first + 1, losses.shape[1])
        raise TrainingDivergedError(
            f"{stage}: the loss is not finite at step {last} (seed {seeds[seed_index]}); "
            f"lower {stage}.learning_rate = {training.learning_rate:g} or {stage}.clip = {training.clip:g}; "
            f"the state after step {kept} is kept"
        )
