import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference import parallel


@pytest.mark.parametrize(("seeds", "devices"), [(1, 1), (2, 2), (3, 1), (4, 2)])
def test_seeds_are_spread_evenly(seeds, devices):
    mesh = parallel.seed_mesh(seeds)
    assert mesh.devices.size == devices
    packed = parallel.shard_seeds(jnp.arange(seeds), mesh)
    doubled = parallel.over_seeds(lambda x: {"twice": 2 * x}, mesh)(packed)
    np.testing.assert_array_equal(doubled["twice"], 2 * np.arange(seeds))
    assert len(doubled["twice"].sharding.device_set) == devices


def test_packed_equals_one_at_a_time():
    mesh = parallel.seed_mesh(4)
    xs = jax.random.normal(jax.random.key(0), (4, 3, 5))

    def function(x, y):
        return jnp.tanh(x @ y.T).sum(axis=0)

    packed = parallel.over_seeds(function, mesh)(xs, 2 * xs)
    for index in range(4):
        np.testing.assert_allclose(packed[index], function(xs[index], 2 * xs[index]), rtol=1e-6)
