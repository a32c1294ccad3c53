"""The oracle: textbook formulas, one prompt at a time, in extended precision, sharing no code with what it judges."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implicit_inference.regression.families.correlated import CorrelatedTasks
from implicit_inference.regression.families.features import Chebyshev, FeatureTasks, Fourier, Polynomial, ReLU
from implicit_inference.regression.families.own_noise import OwnNoise
from implicit_inference.regression.families.sharded import ShardedTasks
from implicit_inference.regression.tasks import DiscreteTasks, GaussianTasks, Mixture

Long = np.longdouble
Values = NDArray[np.longdouble]
Exact = tuple[Values, Values]
"""(mean [K], log density [K]) of one prompt"""
LOG_2PI = np.log(2 * np.pi * Long(1))


def long(values: Any) -> Values:
    """Gives the values in extended precision."""
    return np.asarray(values, Long)


def dense_predictive(tasks: Any, xs: ArrayLike, ys: ArrayLike, noise_std: ArrayLike) -> Exact:
    """Gives (mean [K], log density [K]) of one prompt xs [K, d], ys [K]; raises TypeError for an unknown family."""
    xs, ys, noise_std = long(xs), long(ys), long(noise_std)
    match tasks:
        case GaussianTasks(mean, std):
            return _gaussian(long(mean), long(std) * np.eye(xs.shape[-1]), xs, ys, noise_std)
        case CorrelatedTasks(mean, root):
            return _gaussian(long(mean), long(root), xs, ys, noise_std)
        case DiscreteTasks():
            return _discrete(tasks, xs, ys, noise_std)
        case Mixture(components, log_weights):
            return dense_mixture([dense_predictive(c, xs, ys, noise_std) for c in components], log_weights)[0]
        case OwnNoise(inner, std):
            return dense_predictive(inner, xs, ys, std)
        case FeatureTasks(features, inner):
            return dense_predictive(inner, dense_features(features, xs), ys, noise_std)
        case ShardedTasks(inner, _):
            return dense_predictive(inner, xs, ys, noise_std)
    raise TypeError(tasks)


def dense_features(features: Any, xs: ArrayLike) -> Values:
    """Gives phi(x) [K, m] from the definition of the map; raises TypeError for an unknown kind."""
    xs = long(xs)
    match features:
        case Polynomial(dim, degree):
            powers = [p for p in itertools.product(range(degree + 1), repeat=dim) if sum(p) <= degree]
            powers.sort(key=lambda p: (sum(p), [-e for e in p]))
            return np.stack([np.prod(xs ** np.array(p), axis=-1) for p in powers], axis=-1)
        case Chebyshev(dim, degree):
            orders = [
                long(np.polynomial.chebyshev.chebval(np.float64(xs), np.eye(degree + 1)[p]))
                for p in range(1, degree + 1)
            ]
            return np.concatenate([np.ones((len(xs), 1), Long), *orders], axis=-1)
        case Fourier(frequencies):
            return np.concatenate([np.cos(xs @ long(frequencies).T), np.sin(xs @ long(frequencies).T)], axis=-1)
        case ReLU(weights, biases):
            return np.maximum(0, xs @ long(weights).T + long(biases))
    raise TypeError(features)


def dense_mixture(parts: Sequence[Exact], log_weights: ArrayLike) -> tuple[Exact, Values]:
    """Joins `parts` in a mixture, and gives with it the posterior over them before each label [K, C]."""
    means, log_densities = (np.stack(p, axis=-1) for p in zip(*parts, strict=True))
    log_weights = _posterior(long(log_weights), log_densities)
    mean = (np.exp(log_weights) * means).sum(-1)
    return (mean, logsumexp(log_weights + log_densities)), np.exp(log_weights)


def dense_tasks(tasks: DiscreteTasks, xs: ArrayLike, ys: ArrayLike, noise_std: ArrayLike) -> Values:
    """Gives the posterior probability of each task of a discrete set before each label [K, n]."""
    answers = long(xs) @ long(tasks.ws).T
    return np.exp(_posterior(_log_prior(tasks), _log_normal(long(ys)[:, None] - answers, long(noise_std))))


def _gaussian(mean: Values, root: Values, xs: Values, ys: Values, noise_std: Values) -> Exact:
    """y ~ N(X mean, L L^T) with L L^T = X root root^T X^T + noise^2 I; L comes from [X root, noise I] = L Q.

    Modified Gram-Schmidt on the rows: unlike a Cholesky factor of L L^T, it does not square the condition number.
    """
    n = len(ys)
    rows = np.concatenate([xs @ root, noise_std * np.eye(n)], axis=1)
    factor = np.zeros((n, n), Long)
    for k in range(n):
        factor[k, k] = np.sqrt(rows[k] @ rows[k])
        q = rows[k] / factor[k, k]
        factor[k + 1 :, k] = rows[k + 1 :] @ q
        rows[k + 1 :] -= factor[k + 1 :, k, None] * q
    z = np.zeros(n, Long)
    residuals = ys - xs @ mean
    for k in range(n):
        z[k] = (residuals[k] - factor[k, :k] @ z[:k]) / factor[k, k]
    return ys - np.diag(factor) * z, _log_normal(np.diag(factor) * z, np.diag(factor))


def _discrete(tasks: DiscreteTasks, xs: Values, ys: Values, noise_std: Values) -> Exact:
    answers = xs @ long(tasks.ws).T
    log_likelihoods = _log_normal(ys[:, None] - answers, noise_std)
    log_weights = _posterior(_log_prior(tasks), log_likelihoods)
    return (np.exp(log_weights) * answers).sum(-1), logsumexp(log_weights + log_likelihoods)


def _log_prior(tasks: DiscreteTasks) -> Values:
    return np.zeros(len(tasks.ws), Long) if tasks.log_probs is None else long(tasks.log_probs)


def _posterior(log_prior: Values, log_densities: Values) -> Values:
    """Gives normalised log weights before each label."""
    past = np.concatenate([np.zeros_like(log_densities[:1]), np.cumsum(log_densities, axis=0)[:-1]])
    log_weights = log_prior + past
    return log_weights - logsumexp(log_weights)[:, None]


def _log_normal(residuals: Values, std: Values) -> Values:
    return -0.5 * (residuals / std) ** 2 - np.log(std) - 0.5 * LOG_2PI


def logsumexp(values: Values) -> Values:
    """Gives log sum exp over the last axis."""
    largest = values.max(axis=-1, keepdims=True)
    return np.log(np.exp(values - largest).sum(axis=-1)) + largest[..., 0]


def worst_error(actual: ArrayLike, expected: Values) -> float:
    """Gives the largest error, relative, and absolute where the expected value is below 1."""
    error = np.abs(long(actual) - expected) / np.maximum(1, np.abs(expected))
    return float("nan") if np.isnan(error).any() else float(error.max())
