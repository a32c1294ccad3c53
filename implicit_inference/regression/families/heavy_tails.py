"""Heavy-tailed tasks as a finite mixture of Gaussians of many widths: exact Bayes comes with the mixture."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Shaped

from implicit_inference.bayes.shapes import require, require_scalar, width
from implicit_inference.regression.tasks import GaussianTasks, Mixture


def scale_mixture(mean: Shaped[Array, " d"], stds: Array, log_weights: Array) -> Mixture:
    """w ~ N(mean, s^2 I) with s drawn from `stds` [C], with probability proportional to exp(`log_weights`) [C].

    Raises ValueError unless both are lists of one length.
    """
    n = width("stds", stds)
    require("stds", stds, (n,), "it is one list of numbers")
    require("log_weights", log_weights, (n,), f"there are {n} stds")
    return Mixture(tuple(GaussianTasks(mean, std) for std in jnp.asarray(stds)), log_weights)


def student_tasks(mean: Shaped[Array, " d"], std: Array | float, dof: Array | float, n_scales: int = 16) -> Mixture:
    """The multivariate Student t with `dof` degrees of freedom and scale `std`, as `n_scales` Gaussians.

    w = mean + std sqrt(v) z with 1/v ~ Gamma(dof/2, rate dof/2), so t = log v has a density proportional to
    exp(-(t + e^-t) dof/2): the trapezoid rule in t, where that exceeds e^-14 of its maximum. For dof >= 2, 16 scales
    give the log density of w to 0.05, 32 scales to 0.003, out to where it falls below -15. Raises ValueError
    unless `std` and `dof` are one number each.
    """
    require_scalar("std", std)
    require_scalar("dof", dof)
    reach = 28 / dof + jnp.sqrt(56 / dof)
    log_variances = jnp.linspace(-jnp.log1p(reach), reach, n_scales)
    log_weights = -0.5 * dof * (log_variances + jnp.exp(-log_variances))
    return scale_mixture(mean, std * jnp.exp(0.5 * log_variances), log_weights)
