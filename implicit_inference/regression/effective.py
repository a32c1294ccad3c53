"""Where the capability went: what a shift of the inferred prior odds would explain, by exact Bayes.

If fine-tuning only shifts the inferred odds between two task families, a fine-tuned network is the mixture of the same
two exact predictors under other odds. The effective prior is the odds of the mixture that imitates it best, and its
residual says how far it is from being one. From the effective priors before and after, and nothing else, follow the
forgetting that a mere shift would show (the rest is lost capability) and what every conjugation would recover.

`first` is the family that fine-tuning prefers (the discrete set) and `second` the one that is forgotten (Gaussian: its
exact prediction is ridge). An *excess* is a mean over prompts of `second` of (f - exact prediction under `second`)^2;
on these prompts it is the loss of f above the least possible, whichever truth the loss is measured against.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Shaped

from implicit_inference.bayes.attribution import Attribution, attribution
from implicit_inference.bayes.conjugation import Conjugation, conjugated
from implicit_inference.bayes.shapes import floating, require_scalar
from implicit_inference.regression.conjugations import Identity, fitting
from implicit_inference.regression.inference import log_posterior_odds
from implicit_inference.regression.predictive import bayes_predictor, posterior_predictive
from implicit_inference.regression.prompts import Prompts
from implicit_inference.regression.tasks import Mixture, TaskDistribution

LOGITS = (-20.0, 60.0)
"""The range of prior log odds that is searched."""


def shifted_prior(first: TaskDistribution, second: TaskDistribution, logit: Array | float) -> Mixture:
    """The mixture with prior log odds `logit` = log(P(first) / P(second)), one number."""
    require_scalar("logit", logit)
    logit = floating(logit)
    return Mixture((first, second), jnp.stack([jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)]))


def log_evidence_ratio(
    first: TaskDistribution, second: TaskDistribution, prompts: Prompts, noise_std: Array | float
) -> Float[Array, "*batch K"]:
    """log p(past | first) - log p(past | second) before y_k is seen [..., K]: posterior log odds under even priors."""
    return log_posterior_odds(shifted_prior(first, second, 0.0), prompts, noise_std)[..., 0]


class EffectivePrior(NamedTuple):
    """The mixture that imitates a predictor best: its prior log odds, the mean squared residual, and a bound, if any.

    bound: 1 if the prompts set the log odds no upper limit (the upper end of LOGITS imitates no worse, within two
    standard errors over prompts), -1 if no lower one, 0 if the estimate has both. With a bound, `logit` is still the
    best value in LOGITS, but any value from there to that end does about as well: average it with care.
    """

    logit: Any
    residual: Any
    bound: Any


def effective_prior(
    predictions: Shaped[Array, "*batch K"],
    first: TaskDistribution,
    second: TaskDistribution,
    prompts: Prompts,
    noise_std: Array | float,
) -> EffectivePrior:
    """argmin and minimum over prior log odds in LOGITS of the mean of (predictions - mixture)^2.

    `prompts` should come from both families, in equal parts. A grid over LOGITS, refined twice around its best point to
    a resolution of 0.003. All three are nan if a prediction, or the exact one beside it, is nan or infinite or too
    large to be squared, and without prompts.
    """
    predictions = fitting(predictions, prompts)
    first_mean = posterior_predictive(first, prompts, noise_std).mean
    second_mean = posterior_predictive(second, prompts, noise_std).mean
    log_ratio = log_evidence_ratio(first, second, prompts, noise_std)
    return _closest(predictions, first_mean, second_mean, log_ratio)


@jax.jit
def _closest(predictions: Array, first_mean: Array, second_mean: Array, log_ratio: Array) -> EffectivePrior:
    def residuals(logit: Array) -> Array:
        mixture = second_mean + jax.nn.sigmoid(logit + log_ratio) * (first_mean - second_mean)
        return jnp.mean((predictions - mixture) ** 2, axis=-1)

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


def excess(
    predictions: Shaped[Array, "*batch K"], second: TaskDistribution, prompts: Prompts, noise_std: Array | float
) -> Float[Array, " K"]:
    """The mean over prompts of (predictions - exact prediction under `second`)^2, by position [K]."""
    distance = (fitting(predictions, prompts) - posterior_predictive(second, prompts, noise_std).mean) ** 2
    return jnp.mean(distance, axis=tuple(range(distance.ndim - 1)))


def shifted_excess(
    logit: Array | float,
    first: TaskDistribution,
    second: TaskDistribution,
    prompts: Prompts,
    noise_std: Array | float,
    conjugation: Conjugation | None = None,
) -> Float[Array, " K"]:
    """The excess [K] of an ideal learner with prior log odds `logit`, under `conjugation` if that is given."""
    ideal = bayes_predictor(shifted_prior(first, second, logit), noise_std)
    return excess(conjugated(ideal, conjugation or Identity())(prompts), second, prompts, noise_std)


def forgetting_attribution(
    before: Array,
    after: Array,
    logits: tuple[Array | float, Array | float],
    first: TaskDistribution,
    second: TaskDistribution,
    prompts: Prompts,
    noise_std: Array | float,
) -> Attribution:
    """The forgetting on prompts of `second`, by position [K]: (forgetting, inference shift, capability loss).

    forgetting = E(after - ridge)^2 - E(before - ridge)^2; inference shift = the same of the ideal learners with the
    effective priors `logits`, (before, after); capability loss = the rest. `before` and `after` [..., K] are
    predictions of the network for `prompts`, all of which must come from `second`; fit `logits` by `effective_prior`
    on others. Average over positions first and then take the share, a ratio of means over seeds (metrics.ratio).
    """
    exact = [shifted_excess(logit, first, second, prompts, noise_std) for logit in logits]
    return attribution(*(excess(f, second, prompts, noise_std) for f in (before, after)), *exact)


def predicted_recovery(
    logits: tuple[Array | float, Array | float],
    conjugations: Sequence[Conjugation],
    first: TaskDistribution,
    second: TaskDistribution,
    prompts: Prompts,
    noise_std: Array | float,
    positions: slice = slice(1, None),
) -> Float[Array, " S"]:
    """The recovered fraction rho(s) [S] of every conjugation, from the effective priors alone: nothing is fitted to it.

    rho(s) = (x(after) - x(after, s)) / (x(after) - x(before)), x the excess of the ideal learner with one of the two
    `logits` (before, after), averaged over `prompts`, all from `second`, and `positions`. A fraction of the ideal
    learner's own forgetting, which may be smaller than the network's.
    """

    def average(logit: Array | float, conjugation: Conjugation | None = None) -> Array:
        return jnp.mean(shifted_excess(logit, first, second, prompts, noise_std, conjugation)[positions])

    before, after = (average(logit) for logit in logits)
    return jnp.asarray([(after - average(logits[1], s)) / (after - before) for s in conjugations])


def moved_odds(
    conjugation: Conjugation,
    first: TaskDistribution,
    second: TaskDistribution,
    prompts: Prompts,
    noise_std: Array | float,
) -> Float[Array, "*batch K"]:
    """How far a conjugation moves the log posterior odds of a prompt's past away from `first` [..., K].

    log odds of the prompt - log odds of the prompt as shown, to a learner who believes in `noise_std`; any prior.
    """
    still, moved = prompts, conjugation.apply(prompts)
    return log_evidence_ratio(first, second, still, noise_std) - log_evidence_ratio(first, second, moved, noise_std)
