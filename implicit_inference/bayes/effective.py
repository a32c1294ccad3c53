"""Effective priors: the prior log odds between two families under which an exact mixture imitates a predictor best."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference.bayes.shapes import floating

LOGITS = (-20.0, 60.0)
"""The range of prior log odds that is searched."""


def shifted_weights(logit: Array | float) -> Array:
    """The log weights [2] of a mixture of two families with prior log odds `logit`."""
    logit = floating(logit)
    return jnp.stack([jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)])


class EffectivePrior(NamedTuple):
    """The mixture that imitates a predictor best: its prior log odds, the mean squared residual, and a bound, if any.

    bound: 1 if the prompts set the log odds no upper limit (the upper end of LOGITS imitates no worse, within two
    standard errors over prompts), -1 if no lower one, 0 if the estimate has both. With a bound, `logit` is still the
    best value in LOGITS, but any value from there to that end does about as well: average it with care.
    """

    logit: Any
    residual: Any
    bound: Any


@partial(jax.jit, static_argnums=4)
def fitted_prior(
    predictions: Array, first_mean: Array, second_mean: Array, log_ratio: Array, divergence: Callable[..., Array]
) -> EffectivePrior:
    """argmin and minimum over prior log odds in LOGITS of the mean of divergence(predictions, mixture).

    Predictions and the exact means under either family are [..., K, *event]; `log_ratio` [..., K] is the log evidence
    ratio of the past. A grid over LOGITS, refined twice around its best point to a resolution of 0.003. All three are
    nan where the residual is not finite.
    """

    def residuals(logit: Array) -> Array:
        gate = jax.nn.sigmoid(logit + log_ratio)
        mixture = second_mean + jnp.expand_dims(gate, range(gate.ndim, first_mean.ndim)) * (first_mean - second_mean)
        return jnp.mean(divergence(predictions, mixture), axis=-1)

    low, high = LOGITS
    grid = jnp.linspace(low, high, 81)
    for _ in range(3):
        best = grid[jnp.argmin(jax.lax.map(lambda logit: jnp.mean(residuals(logit)), grid))]
        spacing = grid[1] - grid[0]
        grid = jnp.linspace(jnp.clip(best - 2 * spacing, low, high), jnp.clip(best + 2 * spacing, low, high), 81)

    def no_worse(end: float) -> Array:
        worse = residuals(jnp.asarray(end)) - residuals(best)
        return jnp.mean(worse) <= 2 * jnp.std(worse) / worse.size**0.5

    bound = jnp.where(no_worse(high), 1, jnp.where(no_worse(low), -1, 0))
    residual = jnp.mean(residuals(best))
    return EffectivePrior(*(jnp.where(jnp.isfinite(residual), part, jnp.nan) for part in (best, residual, bound)))
