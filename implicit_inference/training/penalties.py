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
from implicit_inference.network.predictions import predict
from implicit_inference.regression.continuations import continued
from implicit_inference.regression.prompts import Prompts

Params = Any


def weights(config: Config, params: Params, before: Params, key: Array) -> Array:
    """|theta - theta_before|^2 over all parameters that there were (L2-SP, Li et al. 2018, arXiv:1802.01483)."""
    now = {name: params[name] for name in before}
    squared = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), now, before)
    return jax.tree.reduce(jnp.add, squared)


def predictions(config: Config, params: Params, before: Params, key: Array) -> Array:
    """E (f - f_before)^2 on prompts that the network before made up, as many as in a step.

    Pseudo-rehearsal (Robins 1995): inputs as ever, labels y_k = f_before(pairs before k, x_k) + noise, one by one.
    """
    input_key, noise_key = jax.random.split(keys.named(key, "made up"))
    shape = (config.finetune.batch, config.prompts.length)
    noise = config.tasks.noise_std * jax.random.normal(noise_key, shape, jnp.float32)
    blank = Prompts(
        jax.random.normal(input_key, (*shape, config.tasks.dim), jnp.float32), jnp.zeros(shape, jnp.float32)
    )
    made_up = continued(lambda prompts: predict(config, before, prompts), blank, 0, noise)
    return jnp.mean((predict(config, params, made_up) - predict(config, before, made_up)) ** 2)


PENALTIES: dict[str, Callable[[Config, Params, Params, Array], Array]] = {
    penalty.__name__: penalty for penalty in (weights, predictions)
}
"""name -> (configuration, parameters, those before fine-tuning, key) -> the penalty"""
