import os
import subprocess
import sys
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference import keys
from implicit_inference.runs.runtime import pinned


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


DRAWN = """
import hashlib, jax, jax.numpy as jnp, numpy as np
from implicit_inference import keys
from implicit_inference.runs.runtime import pinned
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.network.predictions import initial_params
from implicit_inference.regression.conjugations import rotations
from implicit_inference.worlds import world_of
from implicit_inference.training.batches import held_out

config = override(PRESETS["smoke"], {"model.layers": 1, "model.width": 8})
relu = override(config, {"tasks.relu_features": 4})
key = keys.stream(7, "a")
drawn = [
    world_of(config).families(0)["discrete"].ws, world_of(relu).families(0)["gaussian"],
    held_out(config, 0, "probe", "gaussian", 3),
    initial_params(config, 0), rotations(key, 2, 1), jax.random.key_data(jax.random.split(key, 3)),
    jax.jit(lambda seed: world_of(config).families(seed)["discrete"].ws)(jnp.uint32(0)),
    jax.jit(jax.vmap(lambda key: jax.random.normal(key, (3,), jnp.float32)))(jax.random.split(key, 3)),
]
print([[round(float(x), 2) for x in row] for row in drawn[0]])
print([hashlib.sha256(np.asarray(leaf).tobytes()).hexdigest()[:8] for leaf in jax.tree.leaves(drawn)])
"""


def test_no_flag_of_jax_changes_what_is_drawn():
    flags = {
        "JAX_ENABLE_X64": "1",
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_RANDOM_SEED_OFFSET": "3",
        "JAX_HIGH_DYNAMIC_RANGE_GUMBEL": "1",
    }
    runs = [
        subprocess.run([sys.executable, "-c", DRAWN], env=os.environ | more, capture_output=True, text=True, check=True)
        for more in ({}, flags)
    ]
    plain, flagged = (run.stdout for run in runs)
    assert plain.startswith("[[-1.39, -0.01], [0.49, 0.43], [0.48, -1.94]]")
    assert flagged == plain


def test_the_streams_are_those_of_the_default_generator():
    pinned = keys.stream(5, "a")
    default = jax.random.fold_in(jax.random.key(5), zlib.crc32(b"a"))
    np.testing.assert_array_equal(data(pinned), data(default))
    for draw in (
        lambda key: jax.random.normal(key, (3, 5), jnp.float32),
        lambda key: jax.random.randint(key, (9,), 0, 10, jnp.int32),
        lambda key: jax.random.key_data(jax.random.split(jax.random.fold_in(key, 2), 3)),
    ):
        np.testing.assert_array_equal(draw(pinned), draw(default))
    with jax.enable_x64(True), pytest.raises(TypeError, match="32 bits"):
        jax.random.normal(pinned, (3,), jnp.float64)


def test_arithmetic_is_pinned_where_programs_run():
    with jax.enable_x64(True), jax.default_matmul_precision("bfloat16"), pinned():
        assert jnp.zeros(1).dtype == jnp.float32
        assert jax.config.jax_default_matmul_precision == "highest"
