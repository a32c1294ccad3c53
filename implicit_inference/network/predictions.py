"""The network as a function of prompts: tokens in, predictions out, under a control if it has any."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference import keys
from implicit_inference.config.fields import Config
from implicit_inference.network import controls, decoder
from implicit_inference.regression.prompts import Prompts, read_predictions, to_tokens, token_shape


def initial_params(config: Config, seed: Array | int) -> decoder.Params:
    """A seed's fresh parameters."""
    length, width = token_shape(config.prompts.tokens, config.tasks.dim, config.prompts.length)
    return decoder.init(config.model, width, length, keys.stream(seed, "parameters"))


def predict(config: Config, params: decoder.Params, prompts: Prompts, control: Array | int | None = None) -> Array:
    """Predictions [..., K]; of a controlled network (`controls`), under `control`, or of its base without any."""
    if "controls" in params:
        params = params["base"] if control is None else controls.choose(params, control)
    layout = config.prompts.tokens
    return read_predictions(layout, decoder.apply(config.model, params, to_tokens(layout, prompts)))


def under_each(config: Config, params: decoder.Params, prompts: Prompts) -> Array:
    """Predictions [B, P, K] for prompts [B, P, ...] of P preferences, each under its own control."""
    each = jnp.arange(prompts.ys.shape[1])
    return jax.vmap(partial(predict, config, params), in_axes=(1, 0), out_axes=1)(prompts, each)
