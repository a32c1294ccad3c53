"""Arrays that fit together, or a ValueError that names both: broadcasting would give numbers without a word."""

from typing import Any

import jax
import jax.numpy as jnp


def require(name: str, value: Any, shape: tuple[int, ...], beside: str) -> None:
    """Raises ValueError unless `value` has this shape; `beside` says what the shape follows from."""
    if jnp.shape(value) != shape:
        raise ValueError(f"{name} has shape {jnp.shape(value)}, not {shape}: {beside}")


def require_scalar(name: str, value: Any) -> None:
    """Raises ValueError unless `value` is one number."""
    require(name, value, (), "it is one number")


def width(name: str, value: Any) -> int:
    """Returns the length of the last axis; raises ValueError for a single number."""
    shape = jnp.shape(value)
    if not shape:
        raise ValueError(f"{name} has shape (): at least one axis is expected")
    return shape[-1]


def require_dim(tasks: Any, dim: int, beside: str) -> None:
    """Raises ValueError unless tasks of `tasks.dim` inputs, whose own arrays fit together, meet inputs of `dim`."""
    tasks.check()
    if tasks.dim != dim:
        raise ValueError(f"{type(tasks).__name__} of {tasks.dim} inputs, and {beside} with {dim}")


def floating(tree: Any) -> Any:
    """Makes every array of integers or booleans one of JAX's default floating-point type; others stay as they are."""

    def converted(x: Any) -> jax.Array:
        kept = jnp.issubdtype(jnp.result_type(x), jnp.inexact)
        return jnp.asarray(x, jnp.result_type(x if kept else float))

    return jax.tree.map(converted, tree)
