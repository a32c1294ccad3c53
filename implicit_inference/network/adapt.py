"""Which part of a network trains: methods of fine-tuning, as patches on a tree of parameters that stays as it was.

A *patch* says, parameter by parameter, what becomes of the frozen one: it is replaced (Whole), a part of it is (Part),
or a product of two thin matrices is added (LowRank). A method makes the patch to start from; its leaves train. `merge`
gives the network. Before training, merging changes nothing but what the method says.

A method of one's own is a function in the manner of those below, in METHODS and in the choices of `adapt.method`.
"""

from collections.abc import Callable
from dataclasses import field
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from implicit_inference.config.fields import AdaptConfig
from implicit_inference.pytrees import pytree

Params = Any


@pytree
class Whole:
    """The parameter is replaced, or is new."""

    values: Array

    def on(self, frozen: Any) -> Array:
        return self.values


@pytree
class Part:
    """Replaces the entries `index` of the parameter along `axis` by `values`."""

    values: Array
    axis: int = field(metadata={"static": True})
    index: tuple[int, ...] = field(metadata={"static": True})

    def on(self, frozen: Any) -> Array:
        front = (
            jnp.moveaxis(frozen, self.axis, 0).at[jnp.array(self.index)].set(jnp.moveaxis(self.values, self.axis, 0))
        )
        return jnp.moveaxis(front, 0, self.axis)


@pytree
class LowRank:
    """W + A B, with A [..., in, r] and B [..., r, out]."""

    a: Array
    b: Array

    def on(self, frozen: Any) -> Array:
        return frozen + jnp.matmul(self.a, self.b, precision="highest")


Patch = dict[str, Whole | Part | LowRank]
"""path of a parameter, such as blocks/up/kernel -> what becomes of it"""


def merge(patch: Patch, frozen: Params) -> Params:
    """The parameters of the network: the frozen ones with the patch on them."""
    leaves = flat(frozen)
    return nested(leaves | {path: update.on(leaves.get(path)) for path, update in patch.items()})


def full(config: AdaptConfig, params: Params, key: Array) -> Patch:
    """All parameters."""
    return {path: Whole(leaf) for path, leaf in flat(params).items()}


def head(config: AdaptConfig, params: Params, key: Array) -> Patch:
    """The read-out alone: the final linear map."""
    return {path: Whole(leaf) for path, leaf in flat(params).items() if path.startswith("readout/")}


def layers(config: AdaptConfig, params: Params, key: Array) -> Patch:
    """The blocks `layers`, counted from 0 at the input (Lee et al. 2023, surgical fine-tuning, arXiv:2210.11466)."""
    chosen = jnp.array(config.layers)
    return {path: Part(leaf[chosen], 0, config.layers) for path, leaf in _of_blocks(params).items()}


def values(config: AdaptConfig, params: Params, key: Array) -> Patch:
    """The value maps of attention alone: where it looks stays, what it takes from there trains."""
    patch: Patch = {}
    for path, leaf in _of_blocks(params, "blocks/queries_keys_values").items():
        width = leaf.shape[-1] // 3
        patch[path] = Part(leaf[..., 2 * width :], -1, tuple(range(2 * width, 3 * width)))
    return patch


def lora(config: AdaptConfig, params: Params, key: Array) -> Patch:
    """W + A B of rank `rank` on every matrix of `targets` (Hu et al. 2021, arXiv:2106.09685); first B = 0."""
    names = {"attention": ("queries_keys_values", "attention_out"), "mlp": ("up", "down")}
    chosen = [name for target, of in names.items() if config.targets in (target, "all") for name in of]
    patch: Patch = {}
    for name, subkey in zip(chosen, jax.random.split(key, len(chosen)), strict=True):
        path = f"blocks/{name}/kernel"
        n_layers, inner, outer = flat(params)[path].shape
        a = jax.random.normal(subkey, (n_layers, inner, config.rank), jnp.float32) / jnp.sqrt(inner)
        patch[path] = LowRank(a, jnp.zeros((n_layers, config.rank, outer), jnp.float32))
    return patch


def soft_prompt(config: AdaptConfig, params: Params, key: Array) -> Patch:
    """`prompt_length` vectors before the embedded prompt (Lester et al. 2021, arXiv:2104.08691), first N(0, 0.02^2)."""
    width = flat(params)["positions"].shape[-1]
    return {"prompt": Whole(0.02 * jax.random.normal(key, (config.prompt_length, width), jnp.float32))}


METHODS: dict[str, Callable[[AdaptConfig, Params, Array], Patch]] = {
    method.__name__: method for method in (full, head, layers, values, lora, soft_prompt)
}
"""name -> (settings, parameters, key) -> the patch to start from"""


def size(patch: Any) -> int:
    """The number of parameters that train."""
    return sum(leaf.size for leaf in jax.tree.leaves(patch))


def flat(params: Params) -> dict[str, Array]:
    """Gives {path: leaf} of a nested dict of arrays."""
    return flatten_dict(params, sep="/")


def nested(leaves: dict[str, Array]) -> Params:
    """Gives the nested dict of {path: leaf}."""
    return unflatten_dict(leaves, sep="/")


def _of_blocks(params: Params, prefix: str = "blocks") -> dict[str, Array]:
    """The parameters below a path in the stacked blocks, [layer, ...] each."""
    return {path: leaf for path, leaf in flat(params).items() if path.startswith(f"{prefix}/")}
