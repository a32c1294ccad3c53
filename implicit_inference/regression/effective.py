"""The effective prior: the prior odds at which exact Bayes best imitates a predictor.

If fine-tuning only shifts the inferred odds between two task families, a fine-tuned network is the mixture
of the same two exact predictors under other odds; the residual says how far it is from being one.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from implicit_inference.regression.bayes import posterior_predictive
from implicit_inference.regression.inference import log_posterior_odds
from implicit_inference.regression.prompts import Prompts
from implicit_inference.regression.tasks import Mixture, TaskDistribution

LOGITS = (-20.0, 60.0)
"""The range of prior log odds that is searched."""


def shifted_prior(first: TaskDistribution, second: TaskDistribution, logit: Array | float) -> Mixture:
    """The mixture with prior log odds `logit` = log(P(first) / P(second))."""
    logit = jnp.asarray(logit)
    return Mixture((first, second), jnp.stack([jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)]))


def effective_prior(
    predictions: Float[Array, "*batch K"],
    first: TaskDistribution,
    second: TaskDistribution,
    prompts: Prompts,
    noise_std: Array | float,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(logit, residual): argmin and minimum over prior log odds of the mean of (predictions - mixture)^2.

    A grid over LOGITS, refined twice around its best point to a resolution of 0.003.
    """
    first_mean = posterior_predictive(first, prompts, noise_std).mean
    second_mean = posterior_predictive(second, prompts, noise_std).mean
    log_evidence_ratio = log_posterior_odds(shifted_prior(first, second, 0.0), prompts, noise_std)[..., 0]

    def residual(logit: Array) -> Array:
        mixture = second_mean + jax.nn.sigmoid(logit + log_evidence_ratio) * (first_mean - second_mean)
        return jnp.mean((predictions - mixture) ** 2)

    low, high = (jnp.asarray(bound) for bound in LOGITS)
    for _ in range(3):
        grid = jnp.linspace(low, high, 81)
        values = jax.lax.map(residual, grid)
        best, spacing = grid[jnp.argmin(values)], (high - low) / 80
        low, high = best - 2 * spacing, best + 2 * spacing
    return best, jnp.min(values)
