"""Prompts carry what they claim: the task's answers, noise of the stated size, and tokens that show no label early."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference import DiscreteTasks, GaussianTasks, Mixture, OwnNoise, sample_batch
from implicit_inference.regression.prompts import read_predictions, to_tokens, token_shape

MIXTURE = Mixture((DiscreteTasks(jnp.eye(3)), GaussianTasks(jnp.zeros(3))), jnp.zeros(2))


def test_labels_are_answers_plus_noise():
    batch = sample_batch(jax.random.key(0), MIXTURE, 3000, 5, 0.3)
    clean = jnp.einsum("nkd,nd->nk", batch.prompts.xs, batch.ws)
    np.testing.assert_allclose(batch.clean_labels, clean, rtol=1e-5, atol=1e-5)
    noise = np.asarray(batch.prompts.ys - batch.clean_labels).ravel()
    assert abs(noise.mean()) < 4.5 * 0.3 / np.sqrt(noise.size)
    assert abs((noise**2).mean() / 0.09 - 1) < 4.5 * np.sqrt(2 / noise.size)
    xs = np.asarray(batch.prompts.xs).reshape(-1, 3)
    np.testing.assert_allclose(xs.T @ xs / len(xs), np.eye(3), atol=4.5 * np.sqrt(2 / len(xs)))


def test_own_noise_replaces_the_stated_noise():
    tasks = Mixture((OwnNoise(GaussianTasks(jnp.zeros(2)), 2.0), GaussianTasks(jnp.zeros(2))), jnp.zeros(2))
    batch = sample_batch(jax.random.key(1), tasks, 4000, 3, 0.1)
    noise = np.asarray(batch.prompts.ys - batch.clean_labels)
    for component, std in ((0, 2.0), (1, 0.1)):
        scaled = noise[np.asarray(batch.component) == component].ravel() / std
        assert abs((scaled**2).mean() - 1) < 4.5 * np.sqrt(2 / scaled.size)


def test_the_same_key_gives_the_same_prompts():
    first, again, other = (sample_batch(jax.random.key(k), MIXTURE, 4, 3, 0.5) for k in (0, 0, 1))
    np.testing.assert_array_equal(first.prompts.ys, again.prompts.ys)
    assert (first.prompts.ys != other.prompts.ys).all()


@pytest.mark.parametrize("layout", ["compact", "interleaved"])
def test_tokens_show_each_pair_and_no_label_early(layout):
    prompts = sample_batch(jax.random.key(0), MIXTURE, 2, 4, 0.5).prompts
    tokens = to_tokens(layout, prompts)
    assert tokens.shape == (2, *token_shape(layout, 3, 4))
    positions = read_predictions(layout, jnp.tile(jnp.arange(float(tokens.shape[1])), (2, 1)))
    for k in range(4):
        np.testing.assert_array_equal(tokens[0, int(positions[0, k]), :3], prompts.xs[0, k])
        seen = np.asarray(tokens[0, : int(positions[0, k]) + 1])
        for j in range(4):
            assert np.isin(prompts.ys[0, j], seen) == (j < k)
