"""Where the capability went: what a shift of the inferred prior odds would explain, by exact Bayes.

If fine-tuning only shifts the inferred odds between two task families, a fine-tuned network is the mixture of the same
two exact predictors under other odds. The effective prior is the odds of the mixture that imitates it best, and its
residual says how far it is from being one. From the effective priors before and after, and nothing else, follows what
every conjugation would recover. Its excess parts into one on the line between the two exact predictors and one off it.

`first` is the family that fine-tuning prefers (the discrete set) and `second` the one that is forgotten (Gaussian: its
exact prediction is ridge). An *excess* is a mean over prompts of `second` of (f - exact prediction under `second`)^2;
on these prompts it is the loss of f above the least possible, whichever truth the loss is measured against.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from einops import rearrange
from jax import Array
from jaxtyping import Float, Shaped

from implicit_inference.bayes.attribution import GATE_EDGES, Attribution
from implicit_inference.bayes.conjugation import Conjugation, conjugated
from implicit_inference.bayes.effective import EffectivePrior, fitted_prior, shifted_weights
from implicit_inference.bayes.projection import attributed
from implicit_inference.bayes.shapes import require_scalar
from implicit_inference.regression.conjugations import Identity, fitting
from implicit_inference.regression.inference import log_posterior_odds
from implicit_inference.regression.predictive import bayes_predictor, posterior_predictive
from implicit_inference.regression.prompts import Prompts
from implicit_inference.regression.score import squared
from implicit_inference.regression.tasks import Mixture, TaskDistribution


def shifted_prior(first: TaskDistribution, second: TaskDistribution, logit: Array | float) -> Mixture:
    """The mixture with prior log odds `logit` = log(P(first) / P(second)), one number."""
    require_scalar("logit", logit)
    return Mixture((first, second), shifted_weights(logit))


def log_evidence_ratio(
    first: TaskDistribution, second: TaskDistribution, prompts: Prompts, noise_std: Array | float
) -> Float[Array, "*batch K"]:
    """log p(past | first) - log p(past | second) before y_k is seen [..., K]: posterior log odds under even priors."""
    return log_posterior_odds(shifted_prior(first, second, 0.0), prompts, noise_std)[..., 0]


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
    return fitted_prior(predictions, first_mean, second_mean, log_ratio, squared)


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


def excess_attribution(
    predictions: Shaped[Array, "*batch K"],
    first: TaskDistribution,
    second: TaskDistribution,
    prompts: Prompts,
    noise_std: Array | float,
) -> Attribution:
    """Splits the excess of predictions for prompts of `second`, by position [K]: on the line to `first`, and off it.

    In each bin of the log evidence ratio (bayes.attribution.GATE_EDGES) the nearest point of the line from the exact
    predictions under `second` to those under `first` is taken. Take the parts of the network after from those of the
    network before: forgetting on the line is task inference in the wide sense, off it the capability has changed.
    """
    predictions = fitting(predictions, prompts)
    means = (posterior_predictive(tasks, prompts, noise_std).mean for tasks in (first, second))
    bins = jnp.digitize(log_evidence_ratio(first, second, prompts, noise_std), jnp.asarray(GATE_EDGES))
    flat = (rearrange(values, "... K -> (...) K") for values in (predictions, *means, bins))
    return attributed(*flat, len(GATE_EDGES) + 1, squared)


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
