"""A function of each of many pytrees, compiled once for all that are alike."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

R = TypeVar("R")


def compiled_once(function: Callable[..., R], static: tuple[int, ...] = (), inline: bool = False) -> Callable[..., R]:
    """Compiles a function once for arguments of one structure, shapes and types, so that it may be called eagerly.

    A bare Python function among the arguments may answer differently at the next call: then nothing is kept. `inline`:
    a larger program takes the function as its own lines, not as a call.
    """
    kept = jax.jit(function, static_argnums=static, inline=inline)

    @functools.wraps(function)
    def call(*args: Any) -> R:
        traced = [arg for i, arg in enumerate(args) if i not in static]
        of_numbers = not any(callable(leaf) for leaf in jax.tree.leaves(traced))
        return kept(*args) if of_numbers else function(*args)

    return call


def mapped(function: Callable[[Any], R], trees: Sequence[Any]) -> R:
    """function(tree) of one tree after the other, stacked along a new first axis.

    Trees of one structure, their leaves of the same shapes, go through one loop: the time to compile grows with the
    number of kinds, not with the number of trees.
    """
    kinds: dict[Any, list[int]] = {}
    for i, tree in enumerate(trees):
        leaves, structure = jax.tree.flatten(tree)
        kinds.setdefault((structure, *map(jnp.shape, leaves)), []).append(i)

    def of_kind(members: list[int]) -> R:
        if len(members) == 1:
            return jax.tree.map(lambda leaf: leaf[None], function(trees[members[0]]))
        alike = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(trees[i] for i in members))
        return jax.lax.scan(lambda _, tree: (None, function(tree)), None, alike, len(members))[1]

    results = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *map(of_kind, kinds.values()))
    places = [i for members in kinds.values() for i in members]
    in_order = places == sorted(places)
    return results if in_order else jax.tree.map(lambda leaf: leaf[np.argsort(places)], results)
