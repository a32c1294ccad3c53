"""A function of each of many pytrees, compiled once for all that are alike."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

R = TypeVar("R")


def as_tree(function: Callable[..., R]) -> Callable[..., R]:
    """Makes a function an argument of compiled programs: those that are pytrees stay, others are told by identity."""
    is_leaf = jax.tree_util.all_leaves([function])
    return jax.tree_util.Partial(function) if is_leaf else function


def each(function: Callable[[Any], R], trees: Sequence[Any]) -> R:
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
