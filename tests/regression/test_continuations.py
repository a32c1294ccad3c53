import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference import DiscreteTasks, GaussianTasks, Prompts, bayes_predictor, sample_batch
from implicit_inference.regression.prompts import continued

DIM, LENGTH, START = 2, 6, 3
SET = DiscreteTasks(jnp.array([[1.0, 0.0], [0.0, -2.0], [1.5, 1.0]]))
BATCH = sample_batch(jax.random.key(0), GaussianTasks(jnp.zeros(DIM), jnp.asarray(1.0)), 50, LENGTH, 0.5)
TEACHER = bayes_predictor(SET, 0.5)


def test_answers_are_the_predictions_from_what_was_answered_before_plus_the_noise():
    noise = jax.random.normal(jax.random.key(1), (50, LENGTH))
    prompts = continued(TEACHER, BATCH.prompts, START, noise)
    np.testing.assert_array_equal(prompts.ys[:, :START], BATCH.prompts.ys[:, :START])
    np.testing.assert_array_equal(prompts.xs, BATCH.prompts.xs)
    for k in range(START, LENGTH):
        past = Prompts(prompts.xs[:, : k + 1], prompts.ys[:, : k + 1])
        np.testing.assert_allclose(prompts.ys[:, k], TEACHER(past)[:, k] + noise[:, k], rtol=1e-5, atol=1e-6)


def test_over_the_noise_an_answer_has_the_exact_predictive_mean():
    """Enumerated: the posterior mean over the three tasks given the labels as drawn, in NumPy."""
    n = 20_000
    one = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[7], (n, *leaf.shape[1:])), BATCH.prompts)
    noise = 0.5 * jax.random.normal(jax.random.key(2), (n, LENGTH))
    answers = np.asarray(continued(TEACHER, one, START, noise).ys[:, START], np.float64)
    xs, ys = (np.asarray(leaf[7], np.float64) for leaf in (BATCH.prompts.xs, BATCH.prompts.ys))
    ws = np.asarray(SET.ws, np.float64)
    log_likelihood = -0.5 * np.sum((ys[:START] - ws @ xs[:START].T) ** 2, axis=1) / 0.25
    posterior = np.exp(log_likelihood - log_likelihood.max())
    mean = posterior @ ws @ xs[START] / posterior.sum()
    assert abs(answers.mean() - mean) < 4 * answers.std() / np.sqrt(n)
    np.testing.assert_allclose(answers.std(), 0.5, rtol=0.03)


def test_nothing_is_answered_from_the_end_on():
    noise = jnp.ones((50, LENGTH))
    np.testing.assert_array_equal(continued(TEACHER, BATCH.prompts, LENGTH, noise).ys, BATCH.prompts.ys)


def test_a_start_may_be_traced_and_is_checked_where_it_is_known():
    noise = jax.random.normal(jax.random.key(1), (50, LENGTH))
    expected = continued(TEACHER, BATCH.prompts, START, noise).ys
    traced = jax.jit(lambda start: continued(TEACHER, BATCH.prompts, start, noise).ys)
    np.testing.assert_allclose(traced(START), expected, rtol=1e-6)
    np.testing.assert_array_equal(traced(LENGTH), BATCH.prompts.ys)
    for start in (np.int64(START), jnp.array(START)):
        np.testing.assert_array_equal(continued(TEACHER, BATCH.prompts, start, noise).ys, expected)
    for start in (-1, -2, LENGTH + 1, np.int64(-1)):
        with pytest.raises(ValueError, match=f"start = {start}: allowed: 0 to {LENGTH}"):
            continued(TEACHER, BATCH.prompts, start, noise)
    nothing = Prompts(jnp.zeros((2, 0, DIM)), jnp.zeros((2, 0)))
    assert jax.jit(lambda start: continued(TEACHER, nothing, start, nothing.ys).ys)(0).shape == (2, 0)


@jax.numpy_dtype_promotion("standard")
def test_labels_and_noise_of_integers_are_answered_in_floating_point():
    whole = Prompts(jnp.int8(jnp.round(BATCH.prompts.xs)), jnp.int8(jnp.round(BATCH.prompts.ys)))
    real = jax.tree.map(jnp.float32, whole)
    noise = jnp.ones((50, LENGTH), jnp.int8)
    found, expected = (continued(TEACHER, p, START, noise) for p in (whole, real))
    assert found.ys.dtype == jnp.float32
    np.testing.assert_array_equal(found.ys, expected.ys)
    assert np.any(np.asarray(found.ys) % 1 != 0)
