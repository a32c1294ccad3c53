"""The compiled programs of a configuration, shared by its stages: chunks of steps, losses, networks as predictors."""

import math
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from implicit_inference import keys
from implicit_inference.config.changes import valid
from implicit_inference.config.errors import UserError, counted
from implicit_inference.config.fields import Config, TrainingConfig
from implicit_inference.config.stages import STAGES
from implicit_inference.keys import Stream
from implicit_inference.network import decoder
from implicit_inference.network.predictions import predict
from implicit_inference.runs import devices, hosts
from implicit_inference.training import optimisers
from implicit_inference.training.batches import family as family_tasks
from implicit_inference.training.batches import log_weights, stage_tasks
from implicit_inference.training.stages import Stage, stage_of
from implicit_inference.training.steps import TrainState, start, train_chunk
from implicit_inference.worlds import Predictor, Prompts, Tasks, described, world_of

VALIDATION_PROMPTS = 512


class Programs:
    """All that a configuration compiles, over packed seeds; each program once."""

    def __init__(self, config: Config, mesh: Mesh | None = None):
        self.config, self.world = valid(config, set()), world_of(config)
        self.packed = devices.Packed(config.seeds, mesh or _mesh(config))
        self._chunks: dict[Any, Callable[..., Any]] = {}
        self._exact: dict[Any, Callable[..., Any]] = {}
        self._tasks, self._sampler = cache(self._tasks_of), cache(self._sampler_of)

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
        return jax.tree_util.Partial(self.predict, params, control=self.packed.repeated(control))

    def first_state(self, stage: Stage, parents: tuple[decoder.Params, ...]) -> TrainState:
        """The state of a stage before its first step, from the parameters of its parents."""
        optimizer = optimisers.make_optimizer(stage.training)

        def one_seed(seed: Array, parents: tuple[decoder.Params, ...]) -> TrainState:
            trained, frozen = stage.start(seed, parents)
            return start(trained, optimizer, frozen)

        return self.packed.program(one_seed)(self.packed.seeds, parents)

    def loss(self, predictions: Array, batch: Any) -> Array:
        """The loss at every position [..., K], against the truth of the batch."""
        return self.world.score.loss(predictions, self.world.truth(batch))

    def held_out(self, stream: Stream, family: str, n: int) -> Any:
        """Draws n prompts of a family for every seed, packed; families whose tasks are alike share one program."""
        keys_of_seeds = self.packed.by_seed(lambda seed: keys.stream(seed, stream, family))
        return self._sampler(n)(self._tasks(family), keys_of_seeds)

    def _tasks_of(self, family: str) -> Tasks:
        return self.packed.by_seed(lambda seed: family_tasks(self.config, seed, family))

    def _sampler_of(self, n: int) -> Callable[..., Any]:
        return self.packed.program(lambda tasks, key: self.world.sample(key, tasks, n))

    @cached_property
    def validation(self) -> dict[str, Any]:
        """Prompts of each family to watch training with, packed over seeds."""
        return {f: self.held_out(Stream.VALIDATION, f, VALIDATION_PROMPTS) for f in self.config.families}

    def bayes_losses(self, training: TrainingConfig) -> Callable[..., dict[str, Array]]:
        """The compiled (seeds, validation) -> loss [S] of exact Bayes under a stage's prior, by family."""
        kind = (training.tasks, training.n_tasks, training.narrow_std, training.replay)

        def losses(seed: Array, weights: Array, validation: dict[str, Any]) -> dict[str, Array]:
            tasks = stage_tasks(self.config, training, seed, weights)
            exact = self.world.exact(tasks)
            return {f: jnp.mean(self.loss(exact(batch.prompts), batch)) for f, batch in validation.items()}

        compiled = self._exact.setdefault(kind, self.packed.program(losses))
        weights = self.packed.repeated(log_weights(training.discrete_prob))
        return lambda seeds, validation: compiled(seeds, weights, validation)

    @cached_property
    def is_finite(self) -> Callable[[Any], Array]:
        """The compiled params -> whether all numbers of a seed are finite [S]."""
        return self.packed.program(
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
                def predict(params: Any, prompts: Any) -> Array:
                    return stage.predict(stage.merge(params, state.frozen), prompts)

                return train_chunk(
                    state,
                    key,
                    n_steps,
                    lambda key: stage.draw(seed, source, key, devices.device_part),
                    predict,
                    self.world.score.loss,
                    optimisers.make_optimizer(stage.training, rate),
                    slices,
                    devices.batch_mean,
                    stage.penalty(state.frozen),
                )

            self._chunks[recipe] = self.packed.program(one_seed, donate=(4,))
        return self._chunks[recipe]

    def slices(self, training: TrainingConfig) -> int:
        """The slices in which a device takes its part of a batch."""
        tokens = described(self.config.world).sizes(self.config)["tokens"]
        return devices.slices(self.packed.mesh, training.batch, tokens * self.config.model.width)

    def validate(self, stage: Stage, params: decoder.Params, families: tuple[str, ...]) -> dict[str, np.ndarray]:
        """The loss [S] on each family's validation prompts, averaged over all positions."""
        losses = {}
        for family, batch in ((family, self.validation[family]) for family in families):
            network = self.network(params, stage.control(family))
            predictions = self.packed.predict(network, batch.prompts)
            losses[family] = np.mean(hosts.gathered(self.loss(predictions, batch)), axis=(1, 2))
        return losses


def _mesh(config: Config) -> Mesh:
    """The mesh of all devices that divide the seeds and batches; raises UserError if a host has no part in it."""
    batch = math.gcd(*(getattr(config, stage).batch for stage in STAGES if stage != "probe"))
    mesh = devices.make_mesh(len(config.seeds), batch)
    if (covered := {device.process_index for device in mesh.devices.flat}) != set(range(jax.process_count())):
        raise UserError(
            f"{counted(len(config.seeds), 'seed')} and batches of {batch} reach {len(covered)} of "
            f"{counted(jax.process_count(), 'host')}; choose numbers that the devices divide"
        )
    return mesh
