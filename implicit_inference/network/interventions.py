"""Interventions on parameters: what lies between two networks, which part of a change matters, and where.

All are functions of the parameters of one seed, before a fine-tuning and after it, of one structure.
"""

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference.config.fields import Config
from implicit_inference.network.adapt import flat, nested
from implicit_inference.network.decoder import Params, streams
from implicit_inference.worlds import Prompts, world_of


def along(before: Params, after: Params, t: Array | float) -> Params:
    """Moves on the straight path of the weights: before + t (after - before); 0 is before, 1 after."""
    return jax.tree.map(lambda old, new: old + t * (new - old), before, after)


def replaced(before: Params, after: Params, part: str) -> Params:
    """Puts the part of `before` whose path begins with `part`, such as `readout`, into the network after."""
    old = flat(before)
    return nested({path: old[path] if path.startswith(part) else leaf for path, leaf in flat(after).items()})


def spliced(before: Params, after: Params, blocks: Array | int) -> Params:
    """Joins the embedding and the first `blocks` blocks of `before` to the other blocks and the read-out of `after`.

    That is the network after, its residual stream patched at every token by that of the network before, behind a block.
    """
    old, found = flat(before), {}
    for path, leaf in flat(after).items():
        if path.startswith("blocks/"):
            first = jnp.arange(len(leaf)) < blocks
            found[path] = jnp.where(first.reshape(-1, *(1,) * (leaf.ndim - 1)), old[path], leaf)
        else:
            found[path] = leaf if path.startswith(("norm/", "readout/")) else old[path]
    return nested(found)


def mean_change(config: Config, before: Params, after: Params, prompts: Prompts) -> Array:
    """How the residual stream has changed behind every block [layers, width], on average over prompts and tokens."""
    tokens = world_of(config).tokens(prompts)
    old, new = (streams(config.model, params, tokens) for params in (before, after))
    return jnp.mean(new - old, axis=(1, 2))


def without(after: Params, change: Array, block: Array | int) -> Params:
    """Takes the constant vector change[block] from the residual stream behind this block, at every token."""
    leaves = flat(after)
    path = "blocks/down/bias"
    return nested(leaves | {path: leaves[path].at[block].add(-change[block])})
