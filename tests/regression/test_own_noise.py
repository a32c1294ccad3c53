"""A component's own noise is a belief of that component alone."""

import jax
import jax.numpy as jnp
import numpy as np

from implicit_inference import (
    GaussianTasks,
    Mixture,
    OwnNoise,
    ScaleLabels,
    component_posterior,
    posterior_predictive,
    sample_batch,
)

PRIOR = GaussianTasks(jnp.zeros(2))


def test_the_stated_noise_is_ignored():
    prompts = sample_batch(jax.random.key(0), PRIOR, 5, 6, 0.3).prompts
    own, stated = posterior_predictive(OwnNoise(PRIOR, 0.3), prompts, 99.0), posterior_predictive(PRIOR, prompts, 0.3)
    np.testing.assert_array_equal(own.mean, stated.mean)
    np.testing.assert_array_equal(own.log_density, stated.log_density)


def test_noise_alone_tells_components_apart():
    mixture = Mixture((OwnNoise(PRIOR, 0.1), OwnNoise(PRIOR, 2.0)), jnp.zeros(2))
    batch = sample_batch(jax.random.key(1), mixture, 200, 20, 0.0)
    guess = component_posterior(mixture, batch.prompts, 1.0)[:, -1].argmax(-1)
    assert float((guess == batch.component).mean()) > 0.99


def test_label_scale_carries_the_noise_along():
    pushed, stated = ScaleLabels(-3.0).push(OwnNoise(PRIOR, 0.5), 0.2)
    np.testing.assert_allclose([pushed.noise_std, pushed.tasks.std, stated], [1.5, 3.0, 0.6], rtol=1e-6)
