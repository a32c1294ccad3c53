"""Optimisers and the learning-rate schedule, as optax transformations."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from optax.contrib import MuonDimensionNumbers, muon

from implicit_inference.config.fields import TrainingConfig


class Schedule(NamedTuple):
    """The learning rate of a step: up to `peak` over `warmup` steps, then a cosine down to `final_fraction` of it.

    Its fields may be arrays, so that one compiled program serves every schedule.
    """

    peak: Any
    warmup: Any
    steps: Any
    final_fraction: Any

    def __call__(self, step: Any) -> Array:
        done = jnp.clip((step - self.warmup) / jnp.maximum(self.steps - self.warmup, 1), 0.0, 1.0)
        decayed = self.final_fraction + (1 - self.final_fraction) * 0.5 * (1 + jnp.cos(jnp.pi * done))
        return self.peak * jnp.where(step < self.warmup, step / jnp.maximum(self.warmup, 1), decayed)


def schedule(config: TrainingConfig) -> Schedule:
    """The schedule of a stage."""
    return Schedule(config.learning_rate, config.warmup, config.steps, config.final_fraction)


def make_optimizer(config: TrainingConfig, rate: Schedule | None = None) -> optax.GradientTransformation:
    """Gradient clipping by global norm, then the configured optimiser on a schedule, its own unless told."""
    rate = rate or schedule(config)
    rules = {
        "adam": lambda: optax.adam(rate),
        "adamw": lambda: optax.adamw(rate, weight_decay=config.weight_decay),
        "muon": lambda: muon(
            rate,
            weight_decay=config.weight_decay,
            adam_learning_rate=lambda step: 0.1 * rate(step),
            muon_weight_dimension_numbers=block_matrices,
        ),
    }
    return optax.chain(optax.clip_by_global_norm(config.clip), rules[config.optimizer]())


def block_matrices(params: optax.Params) -> optax.Params:
    """Muon's choice: the stacked matrices [layer, in, out] of the blocks; all other parameters are left to Adam.

    So are the factors of low-rank additions, and everything that is not of the blocks.
    """

    def choose(path: Any, leaf: Any) -> MuonDimensionNumbers | None:
        names = jax.tree_util.keystr(path, simple=True, separator="/").split("/")
        chosen = leaf.ndim == 3 and "blocks" in names and names[-1] not in ("a", "b")
        return MuonDimensionNumbers(1, 2) if chosen else None

    return jax.tree_util.tree_map_with_path(choose, params)
