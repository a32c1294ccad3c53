"""The nearest point to predictions on the line between two exact predictions, and the parts of their distance."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference.bayes.attribution import Attribution

STEPS = 40
"""Steps of the search for a weight: Newton's where it stays between the bounds, else halving them."""


@partial(jax.jit, static_argnums=(4, 5))
def attributed(
    predictions: Array, first: Array, second: Array, bins: Array, n_bins: int, divergence: Callable[..., Array]
) -> Attribution:
    """Splits the mean over prompts of divergence(second, predictions), by position [K].

    Predictions and the exact ones of either family are [N, K, *event]; `bins` [N, K] are whole numbers below `n_bins`.
    A cell is a position and a bin. In each, p = second + g (first - second) with the weight g in [0, 1] that has the
    least sum of divergence(p, predictions). Then sum D(second, f) = sum D(second, p) + sum D(p, f) where g is inside
    (Pythagoras for Bregman divergences, Csiszar 1975), and the left side is the larger at a bound.
    """

    def mixture(weights: Array) -> Array:
        gate = jnp.take_along_axis(weights, bins.T, axis=1).T
        return second + _over_events(gate, second) * (first - second)

    def apart(weights: Array) -> Array:
        return jnp.sum(divergence(mixture(weights), predictions))

    def step(_: Any, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        low, weights, high = state
        slope, curvature = jax.jvp(jax.grad(apart), (weights,), (jnp.ones_like(weights),))
        low, high = jnp.where(slope < 0, weights, low), jnp.where(slope > 0, weights, high)
        newton = weights - slope / jnp.where(curvature > 0, curvature, 1.0)
        inside = (newton >= low) & (newton <= high)
        return low, jnp.where(inside, newton, (low + high) / 2), high

    shape = (bins.shape[1], n_bins)
    zeros = jnp.zeros(shape, predictions.dtype)
    _, weights, _ = jax.lax.fori_loop(0, STEPS, step, (zeros, zeros + 0.5, zeros + 1.0))
    on_line = jnp.mean(divergence(second, mixture(weights)), axis=0)
    return Attribution(on_line, jnp.mean(divergence(second, predictions), axis=0) - on_line)


def _over_events(gate: Array, predictions: Array) -> Array:
    return jnp.expand_dims(gate, range(gate.ndim, predictions.ndim))
