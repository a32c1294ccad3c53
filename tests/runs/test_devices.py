import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference import GaussianTasks, Prompts, ScaleLabels, bayes_predictor, conjugated
from implicit_inference.runs import devices
from implicit_inference.runs.devices import Packed


@pytest.mark.parametrize(
    ("seeds", "batch", "shape"),
    [(1, 1, (1, 1)), (2, 8, (2, 1)), (3, 16, (1, 2)), (3, 8, (1, 1)), (4, 8, (2, 1)), (1, 7, (1, 1))],
)
def test_devices_go_to_seeds_and_then_to_the_batch(seeds, batch, shape):
    mesh = devices.make_mesh(seeds, batch)
    assert mesh.axis_names == ("seeds", "batch")
    assert mesh.devices.shape == shape
    packed = devices.shard_seeds(jnp.arange(seeds), mesh)
    doubled = devices.over_seeds(lambda x: {"twice": 2 * x}, mesh)(packed)
    np.testing.assert_array_equal(doubled["twice"], 2 * np.arange(seeds))
    assert len(doubled["twice"].sharding.device_set) == mesh.devices.size


def test_packed_equals_one_at_a_time():
    mesh = devices.make_mesh(4, 1)
    xs = jax.random.normal(jax.random.key(0), (4, 3, 5))

    def function(x, y):
        return jnp.tanh(x @ y.T).sum(axis=0)

    packed = devices.over_seeds(function, mesh)(xs, 2 * xs)
    for index in range(4):
        np.testing.assert_allclose(packed[index], function(xs[index], 2 * xs[index]), rtol=1e-6)


def test_devices_of_the_batch_axis_share_the_batch():
    mesh, numbers = devices.make_mesh(1, 16), jnp.arange(16.0)[None]
    seen = devices.over_seeds(lambda x: devices.device_part(x).sum(), mesh)(numbers)
    assert sorted(float(shard.data[0]) for shard in seen.addressable_shards) == [sum(range(8)), sum(range(8, 16))]
    mean = devices.over_seeds(lambda x: devices.batch_mean(devices.device_part(x).mean()), mesh)(numbers)
    np.testing.assert_allclose(mean, [7.5])


@pytest.mark.parametrize(("seeds", "messages"), [(1, 1), (2, 0)])
def test_all_leaves_are_averaged_in_one_message_and_in_none_where_a_device_has_the_whole_batch(seeds, messages):
    mesh, numbers = devices.make_mesh(seeds, 16), jnp.arange(16.0 * seeds).reshape(seeds, 16)

    def means(x):
        part = devices.device_part(x)
        return devices.batch_mean({"mean": part.mean(), "parts": (part[:3], {"square": (part**2).reshape(2, -1)})})

    program = devices.over_seeds(means, mesh)
    assert program.__wrapped__.lower(numbers).as_text().count("all_reduce") == messages
    found = program(numbers)
    halves = numbers.reshape(seeds, -1, 8 if seeds == 1 else 16)
    np.testing.assert_allclose(found["mean"], halves.mean(axis=(1, 2)))
    np.testing.assert_allclose(found["parts"][0], halves[..., :3].mean(axis=1))
    np.testing.assert_allclose(found["parts"][1]["square"].reshape(seeds, -1), (halves**2).mean(axis=1))


def test_slices_keep_a_part_of_the_batch_in_the_cache():
    mesh = devices.make_mesh(1, 64)
    assert devices.slices(mesh, 64, 1) == 1
    assert devices.slices(mesh, 64, devices.CACHED // 8) == 4  # 32 a device, 8 at a time
    assert devices.slices(mesh, 64, 10 * devices.CACHED) == 32
    assert devices.slices(mesh, 62, devices.CACHED // 8) == 1  # 31 has no divisor near 8
    assert devices.slices(mesh, 6, devices.CACHED // 2) == 3  # 3 a device; 1 at a time, since 2 does not divide 3


def test_packed_evaluation_equals_one_predictor_at_a_time():
    xs = jax.random.normal(jax.random.key(0), (2, 7, 4, 3))
    shown = Prompts(xs, xs[..., 0])
    stds, factors = jnp.array([0.5, 2.0]), jnp.array([3.0, -1.0])
    predictors = jax.vmap(lambda std: bayes_predictor(GaussianTasks(jnp.ones(3), std), jnp.array(1.0)))(stds)
    packed = Packed((0, 1), devices.make_mesh(2, 1)).predict(predictors, shown, ScaleLabels(factors))
    for s in range(2):
        exact = bayes_predictor(GaussianTasks(jnp.ones(3), stds[s]), jnp.array(1.0))
        alone = conjugated(exact, ScaleLabels(factors[s]))(Prompts(xs[s], xs[s, ..., 0]))
        np.testing.assert_allclose(packed[s], alone, rtol=1e-5, atol=1e-6)
