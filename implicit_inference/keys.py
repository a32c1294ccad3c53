"""Named random streams: every key is a function of (seed, stream name, step).

The keys carry a generator of their own, counter by counter Threefry-2x32 (Salmon et al. 2011): the bits are those of
JAX's default, and no flag of JAX changes them. Draw with an explicit float32 or int32, whose bits are 32 everywhere.
"""

import math
import zlib
from enum import StrEnum, unique

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend import random as generators


@unique
class Stream(StrEnum):
    """Names the random streams of a run. A value is part of what is drawn: it never changes."""

    PRETRAIN = "pretrain"
    SCRATCH = "scratch"
    FINETUNE = "finetune"
    STUDENT = "student"
    TUNE = "tune"
    STEER = "steer"
    """Batches of a stage's steps: the stream has the stage's name."""
    PARAMETERS = "parameters"
    PATCH = "patch"
    CONTROLS = "controls"
    LESSON = "lesson"
    ACCOUNT = "account"
    """Prompts on which an account of a teacher is fitted."""
    MADE_UP = "made up"
    """Prompts that the penalty on predictions makes up."""
    VALIDATION = "validation"
    REPORT = "probe report"
    TUNING = "probe choice"
    """Held-out prompts, by family."""
    DISCRETE_TASKS = "discrete tasks"
    OTHER_DISCRETE_TASKS = "other discrete tasks"
    FEATURES = "features"
    BETWEEN = "probe between"
    SHIFT = "probe shift"
    ROTATION = "probe rotation"
    ROTATIONS = "probe rotations"
    ROTATION_CHOICE = "probe choice of rotation"
    DAMAGE = "damage"
    RELEARNING = "relearning"
    KNOWN_TABLES = "known tables"
    PERMUTATIONS = "probe permutations"
    REFUSALS = "probe refusals"
    OTHER_SKILLS = "probe other skills"


def stream(seed: int | Array, name: str, family: str = "") -> Array:
    """The key of the stream `name` of the run `seed` (0 to 2^32 - 1: an int, or a traced uint32 scalar).

    The package's names are those of `Stream`; a world elsewhere may have more. Each `family` of held-out prompts has
    a stream of its own.

    Streams of different names are independent; `jax.random.fold_in(stream, step)` gives a step's key,
    so that resuming or evaluating more often never changes the data.
    """
    return named(
        jax.random.wrap_key_data(_seed(jnp.asarray(seed, jnp.uint32)), impl=_GENERATOR),
        f"{name} {family}" if family else name,
    )


def named(key: Array, name: str) -> Array:
    """A key beside those that `key` is split into."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def _hashed(key: Array, low: Array) -> Array:
    """Two words [2, ...] for each counter (0, low)."""
    return generators.threefry_2x32((key[0], key[1]), jnp.stack([jnp.zeros_like(low), low]))


def _counted(key: Array, shape: tuple[int, ...]) -> Array:
    """Two words for each of the counters 0, 1, ... of an array of this shape: [2, *shape]."""
    return _hashed(key, jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape))


def _bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
    if width != 32:
        raise TypeError(f"named streams are drawn in 32 bits, not in {width}: pass float32 or int32 as the dtype")
    first, second = _counted(key, shape)
    return first ^ second


def _seed(seed: Array) -> Array:
    low = seed.astype(jnp.uint32)
    return jnp.stack([jnp.zeros_like(low), low])


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.moveaxis(_counted(key, shape), 0, -1)


def _fold_in(key: Array, data: Array | int) -> Array:
    return _hashed(key, jnp.asarray(data, jnp.uint32))


_GENERATOR = generators.define_prng_impl(
    key_shape=(2,), seed=_seed, split=_split, random_bits=_bits, fold_in=_fold_in, name="pinned_threefry", tag="pin"
)
