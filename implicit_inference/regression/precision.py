"""Where single precision cannot hold, a formula runs in double precision, whatever the precision of its inputs."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

P = ParamSpec("P")
R = TypeVar("R")

_rounding = ContextVar("_rounding", default=False)


def full_accuracy() -> bool:
    """Whether the inputs were float64 already, so that the results' last digits are not going to be rounded away."""
    return not _rounding.get()


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
        leaves, structure = jax.tree.flatten((args, kwargs))
        dtype = jnp.result_type(*leaves, 1.0)
        if dtype == jnp.float64:
            return formula(*args, **kwargs)
        structures = []

        def flat(*leaves: jax.Array) -> list[jax.Array]:
            args, kwargs = jax.tree.unflatten(structure, leaves)
            results, result_structure = jax.tree.flatten(formula(*args, **kwargs))
            structures.append(result_structure)
            return results

        results = _rounded_to(dtype, flat)(*leaves)
        return jax.tree.unflatten(structures[-1], results)

    return wrapped


Flat = Callable[..., list[jax.Array]]


def _rounded_to(dtype: Any, formula: Flat) -> Flat:
    """The 64-bit section; its derivative and its batched form are 64-bit sections too.

    JAX would transform it outside of the section, where its rules round constants of theirs to float32.
    """

    @custom_vmap
    def section(*inputs: Any) -> list[jax.Array]:
        with _section():
            results = formula(*(jnp.asarray(x, jnp.float64) for x in inputs))
            return [_clipped(x.astype(dtype)) for x in results]

    @section.def_vmap
    def batched(axis_size: int, in_batched: list[bool], *inputs: Any) -> tuple[list[jax.Array], list[bool]]:
        axes = [0 if is_batched else None for is_batched in in_batched]
        results = _rounded_to(dtype, jax.vmap(formula, axes, axis_size=axis_size))(*inputs)
        return results, [True] * len(results)

    @jax.custom_vjp
    def differentiable(*inputs: Any) -> list[jax.Array]:
        return section(*inputs)

    def forward(*inputs: Any) -> tuple[list[jax.Array], tuple]:
        return differentiable(*inputs), inputs

    def backward(inputs: tuple, cotangents: list[jax.Array]) -> tuple:
        def transposed(*both: jax.Array) -> list[jax.Array]:
            return list(jax.vjp(formula, *both[: len(inputs)])[1](list(both[len(inputs) :])))

        return tuple(_rounded_to(dtype, transposed)(*inputs, *cotangents))

    differentiable.defvjp(forward, backward)
    return differentiable


@contextlib.contextmanager
def _section() -> Iterator[None]:
    before = _rounding.set(True)
    try:
        with jax.enable_x64(True):
            yield
    finally:
        _rounding.reset(before)


def _clipped(x: jax.Array) -> jax.Array:
    largest = jnp.finfo(x.dtype).max
    return jnp.clip(x, -largest, largest)
