"""Task inference, read off: how likely a prompt is, where it seems to come from, how sure an ideal learner is."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Shaped

from implicit_inference.bayes.mixtures import NEVER, log_evidence_before, log_odds
from implicit_inference.bayes.precision import in_float64
from implicit_inference.bayes.shapes import require_dim, require_scalar
from implicit_inference.regression.filters import UNBELIEVABLE
from implicit_inference.regression.predictive import component_parts, posterior_predictive
from implicit_inference.regression.prompts import Prompts, checked
from implicit_inference.regression.tasks import DiscreteTasks, Mixture, TaskDistribution


@in_float64
def sequential_evidence(
    tasks: TaskDistribution, prompts: Prompts, noise_std: Array | float
) -> Float[Array, "*batch K_plus_1"]:
    """log p(y_1 ... y_k | x_1 ... x_k) for k = 0 ... K: 0 first, the evidence of the whole prompt last."""
    log_densities = posterior_predictive(tasks, prompts, noise_std).log_density
    return jnp.pad(jnp.cumsum(log_densities, axis=-1), [(0, 0)] * (log_densities.ndim - 1) + [(1, 0)])


@in_float64
def log_posterior_odds(
    mixture: Mixture, prompts: Prompts, noise_std: Array | float
) -> Float[Array, "*batch K components"]:
    """log p(c | past) - log p(not c | past) for each component c, before y_k is seen: [..., K, C].

    The logit of `component_posterior`, exact where that one has rounded to 0 or 1.
    """
    return log_odds(component_parts(mixture, prompts, noise_std))


@in_float64
def task_posterior(tasks: DiscreteTasks, prompts: Prompts, noise_std: Array | float) -> Float[Array, "*batch K n"]:
    """The posterior probability of each task of a discrete set before y_k is seen, [..., K, n]."""
    prompts = checked(prompts)
    require_dim(tasks, prompts.xs.shape[-1], "prompts")
    require_scalar("noise_std", noise_std)
    residuals = prompts.ys[..., None] - jnp.einsum("...kd,nd->...kn", prompts.xs, tasks.ws)
    log_likelihoods = -0.5 * (jnp.clip(residuals, -UNBELIEVABLE, UNBELIEVABLE) / noise_std) ** 2
    relative = log_likelihoods - jnp.max(jax.lax.stop_gradient(log_likelihoods), axis=-1, keepdims=True)
    past = jnp.moveaxis(log_evidence_before(jnp.moveaxis(relative, -2, -1)), -1, -2)
    log_prior = jnp.maximum(tasks.log_prior, NEVER)
    return jax.nn.softmax(past + log_prior.reshape((1,) * (past.ndim - 1) + log_prior.shape), axis=-1)


def entropy(posterior: Shaped[Array, "*batch n"]) -> Float[Array, "*batch"]:
    """-sum p log p over the last axis, in nats: of `task_posterior` or of `component_posterior`."""
    return jnp.sum(jax.scipy.special.entr(posterior), axis=-1)
