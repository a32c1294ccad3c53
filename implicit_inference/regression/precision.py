"""Where single precision cannot hold, a formula runs in double precision, whatever the precision of its inputs."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

P = ParamSpec("P")
R = TypeVar("R")


def in_float64(formula: Callable[P, R]) -> Callable[P, R]:
    """`formula`, a function of numbers, computed in float64 and rounded to the precision of its inputs.

    Log evidences reach 1e10 where their differences of order 1 decide, and a posterior variance may be 1e-8 of its
    prior: float32 has no digits left for either, and the inputs are exact numbers. Works with 64-bit JAX on or off
    (TPUs emulate it), inside jit, vmap, scan, shard_map and reverse-mode derivatives of any order; forward mode
    needs 64-bit on. A result too large for the inputs' precision becomes its largest number.
    A marked formula that another one calls gets float64 and stays in it.
    """

    @functools.wraps(formula)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        dtype = jnp.result_type(*jax.tree.leaves((args, kwargs)), 1.0)
        if dtype == jnp.float64:
            return formula(*args, **kwargs)
        return _rounded_to(dtype, formula)(args, kwargs)

    return wrapped


def _rounded_to(dtype: Any, formula: Callable[..., R]) -> Callable[[tuple, dict], R]:
    """The 64-bit section; its derivative and its batched form are 64-bit sections too.

    JAX would transform it outside of the section, where its rules round constants of theirs to float32.
    """

    @custom_vmap
    def section(args: tuple, kwargs: dict) -> R:
        with jax.enable_x64(True):
            args, kwargs = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), (args, kwargs))
            return jax.tree.map(lambda x: _clipped(x.astype(dtype)), formula(*args, **kwargs))

    @section.def_vmap
    def batched(axis_size: int, in_batched: list, args: tuple, kwargs: dict) -> tuple[R, Any]:
        axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, tuple(in_batched))
        each = jax.vmap(lambda args, kwargs: formula(*args, **kwargs), axes, axis_size=axis_size)
        results = _rounded_to(dtype, each)((args, kwargs), {})
        return results, jax.tree.map(lambda _: True, results)

    @jax.custom_vjp
    def differentiable(args: tuple, kwargs: dict) -> R:
        return section(args, kwargs)

    def forward(args: tuple, kwargs: dict) -> tuple[R, tuple[tuple, dict]]:
        return differentiable(args, kwargs), (args, kwargs)

    def backward(inputs: tuple[tuple, dict], cotangent: R) -> tuple:
        def transposed(inputs: tuple[tuple, dict], cotangent: R) -> tuple:
            return jax.vjp(lambda args, kwargs: formula(*args, **kwargs), *inputs)[1](cotangent)

        return _rounded_to(dtype, transposed)((inputs, cotangent), {})

    differentiable.defvjp(forward, backward)
    return differentiable


def _clipped(x: jax.Array) -> jax.Array:
    largest = jnp.finfo(x.dtype).max
    return jnp.clip(x, -largest, largest)
