"""Mixtures of priors: the predictions of their parts joined, the posterior over parts. Of any world.

Whoever knows the parts of a prior, and for each the mean and the log density one step ahead, has exact Bayes for the
whole: no formula here asks what the tasks are, or what a learner believes about the noise.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from implicit_inference.pytrees import pytree

NEVER = -1e300
"""The log of 0: far below any log evidence, and not an infinity that a subtraction could turn into NaN."""


@pytree
class Predictive:
    """One step ahead, at every position: the `mean` [..., K, *event] and `log_density` [..., K] of the label seen."""

    mean: Float[Array, "..."]
    log_density: Float[Array, "*batch K"]


@pytree
class Part:
    """A part of a prior: `log_weight` [..., K], log of its mass times its density of the labels before k.

    Parts to be joined may have a term of their log weights in common.
    """

    log_weight: Float[Array, "*batch K"]
    predictive: Predictive


def part(log_mass: Array, predictive: Predictive, common: Array | float = 0.0) -> Part:
    """The part of a prior that holds exp(`log_mass`) of it and predicts `predictive`.

    Sums of log densities keep their digits when they leave out what all parts have in `common` [..., K].
    """
    log_evidence = log_evidence_before(predictive.log_density - common)
    return Part(jnp.maximum(log_mass, NEVER) + log_evidence, predictive)


def joined(a: Part, b: Part) -> Part:
    """The two parts as one: a running log-sum-exp and a running average (associative, and safe at any scale)."""
    log_weight = jnp.logaddexp(a.log_weight, b.log_weight)
    log_a, log_b = a.log_weight - log_weight, b.log_weight - log_weight
    mean = _weighted(jnp.exp(log_a), a.predictive.mean) + _weighted(jnp.exp(log_b), b.predictive.mean)
    log_density = jnp.logaddexp(log_a + a.predictive.log_density, log_b + b.predictive.log_density)
    return Part(log_weight, Predictive(mean, log_density))


def _weighted(weights: Array, means: Array) -> Array:
    return jnp.expand_dims(weights, range(weights.ndim, means.ndim)) * means


def parts(log_weights: Float[Array, " C"], predictives: Predictive) -> Part:
    """The parts of a mixture with these log weights, from their predictives stacked along a first axis [C].

    To be called in float64: sums of log densities leave out what all parts have in common.
    """
    common = jnp.max(jax.lax.stop_gradient(predictives.log_density), axis=0)
    return jax.vmap(part, (0, 0, None))(jax.nn.log_softmax(log_weights), predictives, common)


def all_joined(parts: Part) -> Part:
    """The parts, stacked along their first axis, as one."""
    first, rest = jax.tree.map(lambda x: x[0], parts), jax.tree.map(lambda x: x[1:], parts)
    return jax.lax.scan(lambda total, part: (joined(total, part), None), first, rest)[0]


def posterior(parts: Part) -> Float[Array, "*batch K components"]:
    """The posterior probability of each of the stacked parts before y_k is seen, [..., K, C]."""
    return jax.nn.softmax(jnp.moveaxis(parts.log_weight, 0, -1), axis=-1)


def log_odds(parts: Part) -> Float[Array, "*batch K components"]:
    """log p(c | past) - log p(not c | past) of each of the stacked parts, [..., K, C]; exact far from 0 and 1 too."""
    log_weights = jnp.moveaxis(parts.log_weight, 0, -1)
    n = log_weights.shape[-1]
    rest = jnp.where(jnp.eye(n, dtype=bool), NEVER, jnp.expand_dims(log_weights, -2))
    return log_weights - jax.nn.logsumexp(rest, axis=-1)


def log_evidence_before(log_densities: Float[Array, "*batch K"]) -> Float[Array, "*batch K"]:
    """The sum of log densities over earlier positions: 0 at the first."""
    shifted = jnp.pad(log_densities, [(0, 0)] * (log_densities.ndim - 1) + [(1, 0)])[..., : log_densities.shape[-1]]
    return jnp.cumsum(shifted, axis=-1)
