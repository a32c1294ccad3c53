"""Where single precision cannot hold, a formula runs in double precision, whatever the precision of its inputs."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

P = ParamSpec("P")
R = TypeVar("R")

_inside = jax.make_user_context(False)
_thirty_digits = jax.make_user_context(False)

KEPT = 1024
"""Kinds of calls, by formula and structure of the arguments, whose compiled programs are kept."""


@contextlib.contextmanager
def thirty_digits() -> Iterator[None]:
    """Runs exact inference with 30 digits where float64 has 16; about 100 times as slow.

    For float64 inputs (64-bit JAX on); of float32 inputs the results are rounded to float32 all the same. Functions
    under `jax.jit` are traced anew inside, so that nothing keeps the digits of an earlier call.
    """
    with _thirty_digits(True):
        yield


def with_thirty_digits() -> bool:
    """Whether the formula that is being traced was asked for with 30 digits."""
    return bool(_thirty_digits.value)


def in_float64(formula: Callable[P, R]) -> Callable[P, R]:
    """Makes `formula`, a function of numbers, one that computes in float64 and rounds to its inputs' precision.

    Log evidences reach 1e10 where their differences of order 1 decide, and a posterior variance may be 1e-8 of its
    prior: float32 has no digits left for either, and the inputs are exact numbers. Works with 64-bit JAX on or off
    (TPUs emulate it), inside jit, vmap, scan, shard_map and reverse-mode derivatives of any order; forward mode
    needs 64-bit on. A result too large for the inputs' precision becomes its largest number. Integers are taken as
    numbers of JAX's default precision. A marked formula that another one calls gets float64 and stays in it.
    Compiled once for each structure, shape and precision of the arguments, so that calls may be eager.
    """

    @functools.wraps(formula)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        leaves, structure = jax.tree.flatten((args, kwargs))
        dtype = jnp.result_type(*leaves, 1.0)
        if _inside.value:
            return formula(*args, **kwargs)
        section: Callable[..., R] = _section_of(formula, structure, dtype, with_thirty_digits())
        return section(*leaves)

    return wrapped


@functools.lru_cache(maxsize=KEPT)
def _section_of(formula: Callable[..., Any], structure: Any, dtype: Any, thirty: bool) -> Callable[..., Any]:
    """The compiled section of a formula, a function of the leaves of its arguments."""

    def flat(*leaves: jax.Array) -> Any:
        args, kwargs = jax.tree.unflatten(structure, leaves)
        with _inside(True), _thirty_digits(thirty):
            return formula(*args, **kwargs)

    if dtype == jnp.float64:
        return jax.jit(lambda *leaves: jax.tree.map(_clipped, flat(*(jnp.asarray(x, jnp.float64) for x in leaves))))
    return jax.jit(_rounded_to(dtype, flat))


def _rounded_to(dtype: Any, formula: Callable[..., Any]) -> Callable[..., Any]:
    """The 64-bit section; its derivative and its batched form are 64-bit sections too.

    JAX would transform it outside of the section, where its rules round constants of theirs to float32.
    """

    @custom_vmap
    def section(*inputs: Any) -> Any:
        with jax.enable_x64(True):
            results = formula(*(jnp.asarray(x, jnp.float64) for x in inputs))
            return jax.tree.map(lambda x: _clipped(x.astype(dtype)), results)

    @section.def_vmap
    def batched(axis_size: int, in_batched: list[bool], *inputs: Any) -> tuple[Any, Any]:
        axes = [0 if is_batched else None for is_batched in in_batched]
        results = _rounded_to(dtype, jax.vmap(formula, axes, axis_size=axis_size))(*inputs)
        return results, jax.tree.map(lambda _: True, results)

    @jax.custom_vjp
    def differentiable(*inputs: Any) -> Any:
        return section(*inputs)

    def forward(*inputs: Any) -> tuple[Any, tuple]:
        return differentiable(*inputs), inputs

    def backward(inputs: tuple, cotangents: Any) -> tuple:
        leaves, structure = jax.tree.flatten(cotangents)

        def transposed(*arrays: jax.Array) -> tuple:
            primals, into = arrays[: len(inputs)], jax.tree.unflatten(structure, arrays[len(inputs) :])
            return jax.vjp(formula, *primals)[1](into)

        return _rounded_to(dtype, transposed)(*inputs, *leaves)

    differentiable.defvjp(forward, backward)
    return differentiable


def _clipped(x: jax.Array) -> jax.Array:
    largest = jnp.finfo(x.dtype).max
    return jnp.clip(x, -largest, largest)
