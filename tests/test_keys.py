import jax
import jax.numpy as jnp
import numpy as np

from implicit_inference import keys


def data(key):
    return np.asarray(jax.random.key_data(key))


def test_streams_differ_by_seed_and_name_and_repeat():
    streams = {(seed, name): data(keys.stream(seed, name)).tobytes() for seed in (0, 1) for name in ("a", "b")}
    assert len(set(streams.values())) == 4
    assert streams[0, "a"] == data(keys.stream(0, "a")).tobytes()


def test_traced_seeds_give_the_same_streams():
    packed = jax.vmap(lambda seed: keys.stream(seed, "tasks"))(jnp.array([3, 4], jnp.uint32))
    for index, seed in enumerate((3, 4)):
        np.testing.assert_array_equal(data(packed[index]), data(keys.stream(seed, "tasks")))
