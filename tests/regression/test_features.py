"""Feature maps equal their definitions, and kernels match their limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference import (
    Chebyshev,
    FeatureTasks,
    Fourier,
    GaussianTasks,
    Polynomial,
    ReLU,
    posterior_predictive,
    sample_batch,
)
from implicit_inference.bench.oracle import dense_features, worst_error

XS = jax.random.normal(jax.random.key(0), (5, 3))
WEIGHTS = jax.random.normal(jax.random.key(1), (6, 3))
MAPS = [(Polynomial(3, 3), 20), (Chebyshev(3, 4), 13), (Fourier(WEIGHTS), 12), (ReLU(WEIGHTS, WEIGHTS[:, 0]), 6)]


@pytest.mark.parametrize(("features", "size"), MAPS)
def test_features_are_their_definition(features, size):
    actual = features(XS)
    assert actual.shape == (5, size)
    assert (features.dim, features.size) == (3, size)
    assert worst_error(actual, dense_features(features, np.longdouble(XS))) < 1e-5
    np.testing.assert_allclose(features(XS[None, :2])[0], actual[:2], rtol=1e-6, atol=1e-6)


def test_random_fourier_features_approach_the_gaussian_kernel():
    features = Fourier(jax.random.normal(jax.random.key(2), (20000, 3)))
    kernel = features(XS) @ features(XS).T / 20000
    expected = jnp.exp(-0.5 * jnp.sum((XS[:, None] - XS[None]) ** 2, axis=-1))
    np.testing.assert_allclose(kernel, expected, atol=4.5 / np.sqrt(2 * 20000))


def test_a_learner_that_knows_the_features_learns_a_nonlinear_task():
    """Noise-free, a quadratic in one input is known after three examples."""
    tasks = FeatureTasks(Polynomial(1, 2), GaussianTasks(jnp.zeros(3)))
    batch = sample_batch(jax.random.key(3), tasks, 200, 8, 1e-3)
    errors = (posterior_predictive(tasks, batch.prompts, 1e-3).mean - batch.clean_labels) ** 2
    assert float(jnp.median(errors, axis=0)[3:].max()) < 1e-3
    assert float(jnp.median(errors[:, 0])) > 0.1


@pytest.mark.parametrize(
    "features", [Polynomial(3, 2), Chebyshev(3, 2), Fourier(jnp.ones((2, 3))), ReLU(jnp.ones((2, 3)), jnp.ones(2))]
)
def test_inputs_of_another_dimension_are_refused_and_integers_are_numbers(features):
    name = type(features).__name__
    for dim in (1, 2, 4):
        with pytest.raises(ValueError, match=rf"xs has shape \(5, {dim}\).*{name} has 3 inputs"):
            features(jnp.ones((5, dim)))
    whole = jnp.array([[100, -3, 2], [0, 1, 1]], jnp.int8)
    found, expected = features(whole), features(jnp.float32(whole))
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, expected)
    assert features(jnp.zeros((0, 3))).shape == (0, features.size)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (lambda: Fourier(jnp.ones(3)), "frequencies of Fourier"),
        (lambda: ReLU(jnp.ones(3), jnp.ones(3)), "weights of ReLU"),
        (lambda: ReLU(jnp.ones((2, 3)), jnp.ones((2, 1))), "biases of ReLU"),
    ],
)
def test_maps_whose_arrays_do_not_fit_are_refused(features, words):
    with pytest.raises(ValueError, match=words):
        features()(jnp.ones((5, 3)))


def test_a_prior_over_another_number_of_weights_is_refused_when_drawn_too():
    tasks = FeatureTasks(Polynomial(3, 1), GaussianTasks(jnp.zeros(3)))
    with pytest.raises(ValueError, match="4 features of Polynomial, and a prior over 3 weights"):
        tasks.draw(jax.random.key(0), 2)
    with pytest.raises(ValueError, match="4 features of Polynomial, and a prior over 3 weights"):
        tasks.answer(jax.random.key(0), jnp.ones((2, 4, 3)), 1.0)
