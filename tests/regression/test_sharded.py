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
from implicit_inference.regression.predictive import TASKS_AT_A_TIME

PROMPTS = sample_batch(jax.random.key(0), GaussianTasks(jnp.zeros(3)), 6, 5, 0.2).prompts


def two_devices():
    return jax.make_mesh((2,), ("tasks",), axis_types=(AxisType.Auto,))


@pytest.mark.parametrize("n", [1, 601, 3 * TASKS_AT_A_TIME, 3 * TASKS_AT_A_TIME + 1])
def test_the_same_numbers_as_on_one_device(n):
    """A single task for two devices, a slice for each, and slices that are streamed."""
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


def test_a_label_of_nan_is_nan_afterwards_on_every_device():
    tasks = ShardedTasks(DiscreteTasks(jax.random.normal(jax.random.key(1), (7, 3))), two_devices())
    broken = Prompts(PROMPTS.xs, PROMPTS.ys.at[0, 1].set(jnp.nan).at[1, 1].set(jnp.inf))
    found = jax.jit(posterior_predictive)(tasks, broken, 0.2)
    assert np.isnan(found.mean[0, 2:]).all()
    assert np.isnan(found.log_density[0, 1:]).all()
    assert np.isfinite(found.mean[1:]).all()
    assert found.log_density[1, 1] == np.finfo(np.float32).min


def test_a_mesh_of_two_axes_is_refused():
    mesh = jax.make_mesh((2, 1), ("tasks", "prompts"), axis_types=(AxisType.Auto, AxisType.Auto))
    with pytest.raises(ValueError, match=r"mesh of ShardedTasks has axes \('tasks', 'prompts'\): one is expected"):
        posterior_predictive(ShardedTasks(DiscreteTasks(jnp.zeros((2, 3))), mesh), PROMPTS, 0.2)
