"""Named random streams: every key is a function of (seed, stream name, step)."""

import zlib

import jax


def stream(seed: int | jax.Array, name: str) -> jax.Array:
    """The key of the stream `name` of the run `seed` (an int, or a traced integer scalar).

    Streams of different names are independent; `jax.random.fold_in(stream, step)` gives a step's key,
    so that resuming or evaluating more often never changes the data.
    """
    return named(jax.random.key(seed), name)


def named(key: jax.Array, name: str) -> jax.Array:
    """A key beside those that `key` is split into."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
