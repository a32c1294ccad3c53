"""Penalties that hold fine-tuning back: a term added to the loss, from the network and from what it was before.

A penalty of one's own is a function like those below, in PENALTIES and in the choices of `finetune.penalty`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference import keys
from implicit_inference.config.fields import Config
from implicit_inference.keys import Stream
from implicit_inference.network.predictions import predict
from implicit_inference.worlds import world_of

Params = Any


def weights(config: Config, params: Params, before: Params, key: Array) -> Array:
    """|theta - theta_before|^2 over all parameters that there were (L2-SP, Li et al. 2018, arXiv:1802.01483)."""
    now = {name: params[name] for name in before}
    squared = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), now, before)
    return jax.tree.reduce(jnp.add, squared)


def predictions(config: Config, params: Params, before: Params, key: Array) -> Array:
    """E divergence(f_before, f) on prompts that the network before made up, as many as in a step.

    Pseudo-rehearsal (Robins 1995): inputs as ever, labels drawn from what f_before answers, one by one.
    """
    world = world_of(config)
    blank = world.blank(keys.named(key, Stream.MADE_UP), config.finetune.batch)
    made_up = world.continued(lambda prompts: predict(config, before, prompts), blank, 0)
    return jnp.mean(world.score.divergence(predict(config, before, made_up), predict(config, params, made_up)))


PENALTIES: dict[str, Callable[[Config, Params, Params, Array], Array]] = {
    penalty.__name__: penalty for penalty in (weights, predictions)
}
"""name -> (configuration, parameters, those before fine-tuning, key) -> the penalty"""
