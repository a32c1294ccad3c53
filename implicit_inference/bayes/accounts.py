"""Accounts of a fine-tuning: four models of what it changed in a network's inference, each fitted and then tested.

A network's prediction is read as second + gate (first - second), between the exact ones of the preferred family and
of the forgotten one. An account says how the gate depends on l, the exact log evidence ratio of the past, and so what
the network does on a prompt that a conjugation has moved. The null says that no evidence is used.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference.bayes.effective import LOGITS

WEIGHTS = (0.0, 3.0)
"""The range of weights of the evidence that is searched; an ideal learner has 1."""


@dataclass(frozen=True)
class Account:
    """A gate with numbers of its own, which `bayes.attribution.ACCOUNTS` names."""

    gate: Callable[[Array, Array], Array]
    """(numbers [P], log evidence ratio [...]) -> gate [...]"""
    box: tuple[tuple[float, float], ...]
    """The range of each number that is searched"""
    starts: tuple[tuple[float, ...], ...]
    """Values of each number; the search starts from the best of their combinations"""


def prior_shift(numbers: Array, log_ratio: Array) -> Array:
    """sigmoid(a + l): an ideal learner with prior log odds a."""
    return jax.nn.sigmoid(numbers[0] + log_ratio)


def prior_and_weight(numbers: Array, log_ratio: Array) -> Array:
    """sigmoid(a + b l): log odds a, and a weight b of the evidence."""
    return jax.nn.sigmoid(numbers[0] + numbers[1] * log_ratio)


def lapse(numbers: Array, log_ratio: Array) -> Array:
    """r + (1 - r) sigmoid(a + l): an ideal learner that answers as the preferred family in a fraction r of cases."""
    return numbers[1] + (1 - numbers[1]) * jax.nn.sigmoid(numbers[0] + log_ratio)


ODDS = (-5.0, -2.0, 0.0, 2.0, 5.0, 10.0, 20.0)
GATES = {
    "prior_shift": Account(prior_shift, (LOGITS,), (ODDS,)),
    "prior_and_weight": Account(prior_and_weight, (LOGITS, WEIGHTS), (ODDS, (0.1, 0.3, 0.6, 1.0))),
    "lapse": Account(lapse, (LOGITS, (0.0, 1.0)), (ODDS, (0.02, 0.1, 0.3, 0.6))),
}
"""account -> its gate"""

STEPS = 40
"""Steps of Newton's method, damped (Levenberg 1944); after 20 the numbers hardly move."""


@partial(jax.jit, static_argnums=(0, 6))
def fitted(
    account: Account,
    predictions: Array,
    first: Array,
    second: Array,
    log_ratio: Array,
    weights: Array,
    divergence: Callable[..., Array],
) -> Array:
    """Finds the numbers [P] of a gate with the least mean of divergence(predictions, second + gate (first - second)).

    Predictions and the exact ones are [N, K, *event], `log_ratio` [N, K]; `weights` [K] add up to 1 over positions. A
    local minimum within the account's box, from the best of its starts.
    """

    def residual(numbers: Array) -> Array:
        gate = account.gate(numbers, log_ratio)
        mixture = second + jnp.expand_dims(gate, range(gate.ndim, first.ndim)) * (first - second)
        return jnp.sum(weights * jnp.mean(divergence(predictions, mixture), axis=0))

    def step(_: Any, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        numbers, value, damping = state
        slope, curvature = jax.grad(residual)(numbers), jax.hessian(residual)(numbers)
        moved = numbers - _solved(curvature + damping * jnp.eye(len(slope), dtype=slope.dtype), slope)
        moved = jnp.clip(moved, low, high)
        better = residual(moved) < value
        return (
            jnp.where(better, moved, numbers),
            jnp.where(better, residual(moved), value),
            jnp.where(better, damping / 4, damping * 8),
        )

    low, high = jnp.asarray(account.box, first.dtype).T
    starts = jnp.asarray(list(itertools.product(*account.starts)), first.dtype)
    values = jax.lax.map(residual, starts)
    best = jnp.argmin(values)
    return jax.lax.fori_loop(0, STEPS, step, (starts[best], values[best], jnp.asarray(1e-3, first.dtype)))[0]


def _solved(matrix: Array, vector: Array) -> Array:
    """The solution of one or two linear equations; plain arithmetic, where batched LAPACK can hang on few cores."""
    if len(vector) == 1:
        return vector / matrix[0]
    (a, b), (c, d) = matrix
    x, y = vector
    return jnp.stack([d * x - b * y, a * y - c * x]) / (a * d - b * c)


def pull(before: Array, after: Array, first: Array, second: Array) -> Array:
    """Fits c [K] of after - before = c (first - second), all [N, K, *event], by least squares."""
    change, direction = after - before, first - second
    others = (0, *range(2, change.ndim))
    return jnp.sum(change * direction, axis=others) / jnp.sum(direction**2, axis=others)
