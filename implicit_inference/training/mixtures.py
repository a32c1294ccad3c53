"""Mixtures that a stage draws from, and held-out prompts of their families: of any world."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array

from implicit_inference import keys
from implicit_inference.config.fields import Config, TrainingConfig
from implicit_inference.worlds import Tasks, described, world_of


def log_weights(first: float) -> Array:
    """The log weights [2] of a part with probability `first` and of the rest; 0, 1 and values next to them allowed."""
    return jnp.array([math.log(p) if p else -math.inf for p in (first, 1 - first)], jnp.float32)


def prior(config: Config, seed: Array | int, log_weights: Array) -> Tasks:
    """The mixture of a seed's two families with these log weights [2], the preferred one first."""
    world = world_of(config)
    return world.mixture(tuple(world.families(seed).values()), log_weights)


def stage_tasks(config: Config, training: TrainingConfig, seed: Array | int, weights: Array) -> Tasks:
    """The tasks of a stage: what it shows and the forgotten family with log `weights` [2], and what it replays."""
    world = world_of(config)
    forgotten = world.families(seed)[described(config.world).forgotten]
    own = world.mixture((world.shown(seed, training), forgotten), weights)
    if not training.replay:
        return own
    pretraining = prior(config, seed, log_weights(config.pretrain.discrete_prob))
    return world.mixture((pretraining, own), log_weights(training.replay))


def family(config: Config, seed: Array | int, name: str) -> Tasks:
    """The tasks of a family of held-out prompts; those of `finetuning` are what fine-tuning shows."""
    world = world_of(config)
    return world.shown(seed, config.finetune) if name == "finetuning" else world.families(seed)[name]


def held_out(config: Config, seed: Array | int, stream: str, name: str, n: int) -> Any:
    """A batch of n prompts of one family, from a stream that training never uses."""
    return world_of(config).sample(keys.stream(seed, f"{stream} {name}"), family(config, seed, name), n)
