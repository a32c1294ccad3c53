"""The two recursions over positions that all exact inference rests on, in plain array operations.

Both give the mean and the log density of each label one step ahead. They expect float64: see precision.py.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

LOG_2PI = math.log(2 * math.pi)

Means = Float[Array, "*batch K"]
LogDensities = Float[Array, "*batch K"]
Odds = tuple[Array, Array, Array]


def gaussian_filter(
    mean: Float[Array, " d"],
    root: Float[Array, "d d"],
    xs: Float[Array, "*batch K d"],
    ys: Float[Array, "*batch K"],
    noise_std: Float[Array, ""] | float,
) -> tuple[Means, LogDensities]:
    """Ridge regression as a Kalman filter for w ~ N(mean, root root^T): O(K d^2) for all prefixes together.

    The posterior covariance is carried as a square root A A^T (Potter's update; Bierman 1977, chapter II.8): rounding
    grows with prior std / noise std, where formulas with the covariance or the Gram matrix pay for its square.
    """
    noise_var = noise_std**2
    zeros = 0 * (xs[..., 0, :] + ys[..., :1] + noise_std + mean[0] + root[0, 0])
    start = _spread(mean, zeros), _spread(root, zeros[..., None])

    def step(carry: tuple[Array, Array], pair: tuple[Array, Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        mean, root = carry
        x, y = pair
        projected = jnp.einsum("...ij,...i->...j", root, x)
        variance = jnp.sum(projected**2, axis=-1) + noise_var
        prediction = jnp.sum(mean * x, axis=-1)
        residual = y - prediction
        gain = jnp.einsum("...ij,...j->...i", root, projected)
        mean = mean + gain * (residual / variance)[..., None]
        shrink = 1 / (variance + jnp.sqrt(noise_var * variance))
        root = root - (gain * shrink[..., None])[..., None] * projected[..., None, :]
        return (mean, root), (prediction, -0.5 * (residual**2 / variance + jnp.log(variance) + LOG_2PI))

    _, (means, log_densities) = jax.lax.scan(step, start, (jnp.moveaxis(xs, -2, 0), jnp.moveaxis(ys, -1, 0)))
    return jnp.moveaxis(means, 0, -1), jnp.moveaxis(log_densities, 0, -1)


def task_filter(
    ws: Float[Array, "n d"],
    log_prior: Float[Array, " n"],
    xs: Float[Array, "*batch K d"],
    ys: Float[Array, "*batch K"],
    noise_std: Float[Array, ""] | float,
) -> tuple[Means, LogDensities]:
    """The average of the tasks' own answers, weighted by their posterior: O(K n d) time, O(n) memory for a prompt.

    The log posterior is carried with its largest entry moved to 0 after every label, so that the odds of the leading
    tasks keep their digits however unlikely the prompt is. `log_prior` need not be normalised, but must be finite.
    """
    noise_var = noise_std**2
    zeros = 0 * (xs[..., 0, :1] + ys[..., :1] + noise_std + ws[0, 0] + log_prior[0])
    log_odds = _spread(log_prior - jnp.max(jax.lax.stop_gradient(log_prior)), zeros)
    odds = jnp.exp(log_odds)
    start = log_odds, odds, jnp.sum(odds, axis=-1)

    def step(carry: Odds, pair: tuple[Array, Array]) -> tuple[Odds, tuple[Array, Array]]:
        log_odds, odds, total = carry
        x, y = pair
        answers = jnp.einsum("...d,nd->...n", x, ws)
        prediction = jnp.sum(odds * answers, axis=-1) / total
        log_odds = log_odds - 0.5 * (y[..., None] - answers) ** 2 / noise_var
        leader = jnp.max(jax.lax.stop_gradient(log_odds), axis=-1)
        log_odds = log_odds - leader[..., None]
        odds = jnp.exp(log_odds)
        new_total = jnp.sum(odds, axis=-1)
        log_density = leader + jnp.log(new_total / total) - 0.5 * (jnp.log(noise_var) + LOG_2PI)
        return (log_odds, odds, new_total), (prediction, log_density)

    _, (means, log_densities) = jax.lax.scan(step, start, (jnp.moveaxis(xs, -2, 0), jnp.moveaxis(ys, -1, 0)))
    return jnp.moveaxis(means, 0, -1), jnp.moveaxis(log_densities, 0, -1)


def _spread(prior: Array, zeros: Array) -> Array:
    """`prior` for every prompt; adding zeros rather than broadcasting lets it vary over devices as the prompts do."""
    return zeros + prior.reshape((1,) * (zeros.ndim - prior.ndim) + prior.shape)
