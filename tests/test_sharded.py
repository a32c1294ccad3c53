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
    Prompts,
    ScaleLabels,
    ShardedTasks,
    posterior_predictive,
    sample_batch,
)
from implicit_inference.regression import bayes

PROMPTS = sample_batch(jax.random.key(0), GaussianTasks(jnp.zeros(3)), 6, 5, 0.2).prompts


def two_devices():
    return jax.make_mesh((2,), ("tasks",), axis_types=(AxisType.Auto,))


@pytest.mark.parametrize(("n", "chunk"), [(1, 4096), (601, 4096), (600, 256), (601, 256)])
def test_the_same_numbers_as_on_one_device(n, chunk, monkeypatch):
    monkeypatch.setattr(bayes, "TASKS_AT_A_TIME", chunk)
    tasks = DiscreteTasks(jax.random.normal(jax.random.key(1), (n, 3)), jax.random.normal(jax.random.key(2), (n,)))
    run = jax.jit(lambda tasks: posterior_predictive(tasks, PROMPTS, 0.2))
    expected, actual = run(tasks), run(ShardedTasks(tasks, two_devices()))
    np.testing.assert_allclose(actual.mean, expected.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(actual.log_density, expected.log_density, rtol=1e-5, atol=1e-6)


def test_it_mixes_conjugates_samples_and_differentiates():
    tasks = DiscreteTasks(jax.random.normal(jax.random.key(1), (7, 3)))
    alone, spread = (
        Mixture((ScaleLabels(2.0).push(t, 0.2)[0], GaussianTasks(jnp.zeros(3))), jnp.zeros(2))
        for t in (tasks, ShardedTasks(tasks, two_devices()))
    )
    total = lambda ys, tasks: posterior_predictive(tasks, Prompts(PROMPTS.xs, ys), 0.2).mean.sum()  # noqa: E731
    run = jax.jit(jax.value_and_grad(total))
    for actual, expected in zip(run(PROMPTS.ys, spread), run(PROMPTS.ys, alone), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(*(t.sample(jax.random.key(3), 5) for t in (spread, alone)))
