"""A full covariance: sampler, and equality with the isotropic family where both apply."""

import jax
import jax.numpy as jnp
import numpy as np

from implicit_inference import CorrelatedTasks, GaussianTasks, posterior_predictive, sample_batch

COVARIANCE = np.array([[2.0, 0.9], [0.9, 0.5]])


def test_moments():
    mean = jnp.array([1.0, -1.0])
    ws = CorrelatedTasks(mean, jnp.array(np.linalg.cholesky(COVARIANCE))).sample(jax.random.key(0), 40000)
    np.testing.assert_allclose(ws.mean(0), mean, atol=4.5 * np.sqrt(2.0 / 40000))
    np.testing.assert_allclose(np.cov(np.asarray(ws).T), COVARIANCE, atol=4.5 * np.sqrt(2 * 4.0 / 40000))


def test_any_square_root_gives_the_same_posterior():
    """A multiple of the identity is the isotropic family; a rotated root is the same prior."""
    prompts = sample_batch(jax.random.key(1), GaussianTasks(jnp.zeros(2)), 5, 6, 0.3).prompts
    mean, turn = jnp.array([0.3, 0.7]), jnp.array([[0.6, -0.8], [0.8, 0.6]])
    expected = posterior_predictive(GaussianTasks(mean, 1.5), prompts, 0.3)
    actual = posterior_predictive(CorrelatedTasks(mean, 1.5 * turn), prompts, 0.3)
    np.testing.assert_allclose(actual.mean, expected.mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(actual.log_density, expected.log_density, rtol=1e-5, atol=1e-5)


def test_a_singular_covariance_is_allowed():
    """A direction that the prior excludes stays excluded."""
    prompts = sample_batch(jax.random.key(1), GaussianTasks(jnp.zeros(2)), 5, 6, 0.3).prompts
    flat = CorrelatedTasks(jnp.zeros(2), jnp.diag(jnp.array([1.0, 0.0])))
    moved = prompts.xs.at[..., 1].add(1.0)
    again = type(prompts)(moved, prompts.ys)
    np.testing.assert_allclose(
        posterior_predictive(flat, again, 0.3).mean, posterior_predictive(flat, prompts, 0.3).mean, rtol=1e-5, atol=1e-6
    )
