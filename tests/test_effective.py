import jax
import jax.numpy as jnp
import pytest

from implicit_inference import DiscreteTasks, GaussianTasks, Prompts, posterior_predictive
from implicit_inference.regression.effective import effective_prior, shifted_prior
from implicit_inference.regression.prompts import sample_batch

GAUSSIAN = GaussianTasks(jnp.zeros(3), jnp.array(1.0))
DISCRETE = DiscreteTasks(jax.random.normal(jax.random.key(0), (4, 3)))
NOISE = jnp.array(0.8)


def prompts():
    halves = [
        sample_batch(jax.random.key(s), tasks, 300, 8, NOISE).prompts for s, tasks in ((1, GAUSSIAN), (2, DISCRETE))
    ]
    return Prompts(*(jnp.concatenate([getattr(half, name) for half in halves]) for name in ("xs", "ys")))


@pytest.mark.parametrize("logit", [-3.0, 0.0, 1.7, 9.0])
def test_an_exact_mixture_has_its_own_prior_and_no_residual(logit):
    shown = prompts()
    exact = posterior_predictive(shifted_prior(DISCRETE, GAUSSIAN, logit), shown, NOISE).mean
    found, residual = effective_prior(exact, DISCRETE, GAUSSIAN, shown, NOISE)
    assert found == pytest.approx(logit, abs=0.01)
    assert residual < 1e-6


def test_noise_on_ridge_is_residual_and_not_prior():
    shown = prompts()
    noise = 0.5 * jax.random.normal(jax.random.key(3), shown.ys.shape)
    ridge = posterior_predictive(GAUSSIAN, shown, NOISE).mean
    found, residual = effective_prior(ridge + noise, DISCRETE, GAUSSIAN, shown, NOISE)
    assert found < -5
    assert residual == pytest.approx(float(jnp.mean(noise**2)), rel=0.01)
