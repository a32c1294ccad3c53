"""The network as a function of prompts: tokens in, predictions out, under a control if it has any."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference import keys
from implicit_inference.bayes.compiled import compiled_once
from implicit_inference.config.fields import Config, ModelConfig
from implicit_inference.keys import Stream
from implicit_inference.network import controls, decoder
from implicit_inference.worlds import Prompts, World, described, world_of


def initial_params(config: Config, seed: Array | int) -> decoder.Params:
    """A seed's fresh parameters."""
    sizes = described(config.world).sizes(config)
    key = keys.stream(seed, Stream.PARAMETERS)
    return decoder.init(config.model, sizes["token"], sizes["tokens"], sizes["outputs"], key)


def predict(config: Config, params: decoder.Params, prompts: Prompts, control: Array | int | None = None) -> Array:
    """Predictions [..., K, *event]; of a controlled network under `control`, or of its base without any.

    Called eagerly, calls of equal shapes share one compiled program.
    """
    return _predict(world_of(config), config.model, params, prompts, control)


@partial(compiled_once, static=(0, 1), inline=True)
def _predict(world: World, model: ModelConfig, params: decoder.Params, prompts: Prompts, control: Any) -> Array:
    if "controls" in params:
        params = params["base"] if control is None else controls.choose(params, control)
    return world.read(decoder.apply(model, params, world.tokens(prompts)))


def under_every_control(config: Config, params: decoder.Params, prompts: Prompts) -> Array:
    """Predictions [B, P, K, *event] for prompts [B, P, ...] of P preferences, each under its own control."""
    indices = jnp.arange(len(config.control.grades))
    return jax.vmap(partial(predict, config, params), in_axes=(1, 0), out_axes=1)(prompts, indices)
