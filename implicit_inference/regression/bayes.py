"""Exact Bayes: what an ideal learner predicts before each label, for every position of a prompt at once.

Each task distribution needs two sequences, the mean m_k and the log density l_k of y_k given the pairs before k
and x_k; everything else follows from them. `noise_std` is the learner's belief about the label noise.
"""

import math
from dataclasses import dataclass
from functools import singledispatch

import jax
import jax.numpy as jnp
from jax import Array
from jax.tree_util import register_dataclass
from jaxtyping import Float

from implicit_inference.regression.prompts import Predictor, Prompts
from implicit_inference.regression.tasks import DiscreteTasks, GaussianTasks, Mixture, TaskDistribution

LOG_2PI = math.log(2 * math.pi)


@register_dataclass
@dataclass(frozen=True)
class Predictive:
    """One step ahead, at every position: `mean` [..., K] of y_k and `log_density` [..., K] of the label seen."""

    mean: Float[Array, "*batch K"]
    log_density: Float[Array, "*batch K"]


@singledispatch
def posterior_predictive(tasks: TaskDistribution, prompts: Prompts, noise_std: Array | float) -> Predictive:
    """E[y_k | past, x_k] and log p(y_k | past, x_k) under the prior `tasks`, at every position.

    Register a function for a new family of tasks with `@posterior_predictive.register`.
    """
    raise TypeError(f"no exact predictive is registered for {type(tasks).__name__}")


@posterior_predictive.register
def _(tasks: GaussianTasks, prompts: Prompts, noise_std: Array | float) -> Predictive:
    """Ridge regression as a Kalman filter over positions: O(K d^2) for all prefixes together.

    The posterior covariance is carried as a square root A A^T (Potter's update; Bierman 1977, chapter II.8),
    which stays positive definite where the plain covariance update loses it to rounding.
    """
    xs, ys = jnp.asarray(prompts.xs), jnp.asarray(prompts.ys)
    batch, dim = xs.shape[:-2], xs.shape[-1]
    noise_var = jnp.asarray(noise_std, xs.dtype) ** 2

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
        return (mean, root), (prediction, log_normal(residual, variance))

    start = (
        jnp.broadcast_to(jnp.asarray(tasks.mean, xs.dtype), (*batch, dim)),
        jnp.broadcast_to(jnp.asarray(tasks.std, xs.dtype) * jnp.eye(dim, dtype=xs.dtype), (*batch, dim, dim)),
    )
    _, (means, log_densities) = jax.lax.scan(step, start, (jnp.moveaxis(xs, -2, 0), jnp.moveaxis(ys, -1, 0)))
    return Predictive(jnp.moveaxis(means, 0, -1), jnp.moveaxis(log_densities, 0, -1))


@posterior_predictive.register
def _(tasks: DiscreteTasks, prompts: Prompts, noise_std: Array | float) -> Predictive:
    """The average of the tasks' own predictions, weighted by their posterior; logarithms until the last step."""
    answers = jnp.einsum("...kd,nd->...kn", prompts.xs, tasks.ws)
    log_likelihood = log_normal(prompts.ys[..., None] - answers, jnp.asarray(noise_std, answers.dtype) ** 2)
    log_posterior = log_weights_before(tasks.log_prior, log_likelihood)
    return Predictive(
        jnp.sum(jnp.exp(log_posterior) * answers, axis=-1),
        jax.nn.logsumexp(log_posterior + log_likelihood, axis=-1),
    )


@posterior_predictive.register
def _(tasks: Mixture, prompts: Prompts, noise_std: Array | float) -> Predictive:
    """The average of the components' predictions, weighted by the posterior over components."""
    parts = [posterior_predictive(c, prompts, noise_std) for c in tasks.components]
    means = jnp.stack([p.mean for p in parts], axis=-1)
    log_densities = jnp.stack([p.log_density for p in parts], axis=-1)
    log_posterior = log_weights_before(jax.nn.log_softmax(jnp.asarray(tasks.log_weights)), log_densities)
    return Predictive(
        jnp.sum(jnp.exp(log_posterior) * means, axis=-1),
        jax.nn.logsumexp(log_posterior + log_densities, axis=-1),
    )


def component_posterior(
    mixture: Mixture, prompts: Prompts, noise_std: Array | float
) -> Float[Array, "*batch K components"]:
    """The posterior probability of each component before y_k is seen, [..., K, C]: task inference itself."""
    parts = [posterior_predictive(c, prompts, noise_std) for c in mixture.components]
    log_densities = jnp.stack([p.log_density for p in parts], axis=-1)
    return jnp.exp(log_weights_before(jax.nn.log_softmax(jnp.asarray(mixture.log_weights)), log_densities))


def bayes_predictor(tasks: TaskDistribution, noise_std: Array | float) -> Predictor:
    """The predictor that answers with the posterior mean under `tasks`; a pytree, so it jits, vmaps and stacks."""
    return jax.tree_util.Partial(_predictive_mean, tasks, noise_std)


def _predictive_mean(tasks: TaskDistribution, noise_std: Array | float, prompts: Prompts) -> Array:
    return posterior_predictive(tasks, prompts, noise_std).mean


def log_normal(residual: Array, variance: Array) -> Array:
    """log N(residual; 0, variance)."""
    return -0.5 * (residual**2 / variance + jnp.log(variance) + LOG_2PI)


def log_weights_before(log_prior: Array, log_densities: Array) -> Array:
    """Normalised log posterior weights [..., K, n] before each label, from log densities [..., K, n].

    log prior + the sum of log densities over earlier positions, normalised by log-sum-exp.
    """
    past = jnp.cumsum(log_densities, axis=-2) - log_densities
    return jax.nn.log_softmax(log_prior + past, axis=-1)
