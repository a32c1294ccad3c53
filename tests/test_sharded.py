"""Tasks spread over two devices answer as they do on one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from implicit_inference import (
    DiscreteTasks,
    GaussianTasks,
    Mixture,
    ScaleLabels,
    ShardedTasks,
    posterior_predictive,
    sample_batch,
)
from implicit_inference.regression import bayes

PROMPTS = sample_batch(jax.random.key(0), GaussianTasks(jnp.zeros(3)), 6, 5, 0.2).prompts


def two_devices():
    return jax.make_mesh((2,), ("tasks",), axis_types=(AxisType.Auto,))


@pytest.mark.parametrize("n", [1, 600, 601])
@pytest.mark.parametrize("chunk", [4096, 256])
def test_the_same_numbers_as_on_one_device(n, chunk, monkeypatch):
    monkeypatch.setattr(bayes, "TASKS_AT_A_TIME", chunk)
    tasks = DiscreteTasks(jax.random.normal(jax.random.key(1), (n, 3)), jax.random.normal(jax.random.key(2), (n,)))
    expected = posterior_predictive(tasks, PROMPTS, 0.2)
    actual = jax.jit(posterior_predictive)(ShardedTasks(tasks, two_devices()), PROMPTS, 0.2)
    np.testing.assert_allclose(actual.mean, expected.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(actual.log_density, expected.log_density, rtol=1e-5, atol=1e-6)


def test_it_mixes_conjugates_samples_and_differentiates():
    tasks = DiscreteTasks(jax.random.normal(jax.random.key(1), (7, 3)))
    alone, spread = (
        Mixture((ScaleLabels(2.0).push(t, 0.2)[0], GaussianTasks(jnp.zeros(3))), jnp.zeros(2))
        for t in (tasks, ShardedTasks(tasks, two_devices()))
    )
    run = jax.jit(lambda t, ys: posterior_predictive(t, type(PROMPTS)(PROMPTS.xs, ys), 0.2).mean.sum())
    np.testing.assert_allclose(run(spread, PROMPTS.ys), run(alone, PROMPTS.ys), rtol=1e-5)
    gradients = [jax.grad(run, 1)(t, PROMPTS.ys) for t in (spread, alone)]
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(*(t.sample(jax.random.key(3), 5) for t in (spread, alone)))
