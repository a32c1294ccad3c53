"""Devices: a mesh of seeds x batch, so that every device trains seeds of its own or, left over, a part of the batch."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from einops import rearrange
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from implicit_inference.config.memory import CACHED
from implicit_inference.runs.runtime import pinned

LEAST_PART = 8
"""Prompts: smaller parts of a batch cost more to combine than they save."""


def make_mesh(n_seeds: int, batch: int) -> Mesh:
    """A mesh with axes (seeds, batch) of as many devices as evenly divide both, rather the seeds.

    No part of a batch is smaller than LEAST_PART prompts.
    """
    devices = jax.devices()
    shapes = [
        (seeds, _largest_divisor(batch, min(len(devices) // seeds, max(1, batch // LEAST_PART))))
        for seeds in range(1, len(devices) + 1)
        if n_seeds % seeds == 0
    ]
    shape = max(shapes, key=lambda shape: (math.prod(shape), shape))
    return jax.make_mesh(shape, ("seeds", "batch"), (AxisType.Auto,) * 2, devices=devices[: math.prod(shape)])


def over_seeds(function: Callable[..., Any], mesh: Mesh, donate: tuple[int, ...] = ()) -> Callable[..., Any]:
    """`function`, compiled, over the leading seed axis of all its arguments; seeds are split over the mesh.

    Within a device seeds are one vectorised program on an accelerator and follow one another on the CPU, where
    batched small products are slower than single ones. Devices along the batch axis do the same, unless the
    function takes its `device_part`; their results must agree. The buffers of the arguments `donate` are used up.
    """
    on_cpu = mesh.devices.flat[0].platform == "cpu"

    def packed(*args: Any) -> Any:
        return jax.lax.map(lambda part: function(*part), args) if on_cpu else jax.vmap(function)(*args)

    mapped = jax.shard_map(packed, mesh=mesh, in_specs=P("seeds"), out_specs=P("seeds"), check_vma=False)
    compiled = jax.jit(mapped, donate_argnums=donate)

    return pinned()(compiled)


def device_part(tree: Any) -> Any:
    """The slice of every leaf's leading axis that this device of the batch axis works on. Inside `over_seeds`."""
    parts, index = jax.lax.axis_size("batch"), jax.lax.axis_index("batch")
    return jax.tree.map(lambda leaf: rearrange(leaf, "(part prompt) ... -> part prompt ...", part=parts)[index], tree)


def batch_mean(tree: Any) -> Any:
    """The mean of every leaf, all of one type, over the devices of the batch axis. Inside `over_seeds`.

    All leaves are sent as one vector: between the devices of a CPU, a message costs more than what is in it.
    """
    if jax.lax.axis_size("batch") == 1:
        return tree
    numbers, restored = ravel_pytree(tree)
    return restored(jax.lax.pmean(numbers, "batch"))


def slices(mesh: Mesh, batch: int, size: int) -> int:
    """Into how many equal slices a device takes its part of a batch, one after the other, with `size` numbers a prompt.

    As few as keep a slice in a CPU's cache: 1.2 to 1.3 times as fast at width 256 as all at once. Accelerators take
    all at once, and so does a part that has no divisor near.
    """
    of_device, most = batch // mesh.shape["batch"], max(1, CACHED // size)
    at_once = _largest_divisor(of_device, most)
    if mesh.devices.flat[0].platform != "cpu" or 2 * at_once < min(of_device, most):
        return 1
    return of_device // at_once


def shard_seeds(tree: Any, mesh: Mesh) -> Any:
    """The tree with the leading axis of every leaf laid over the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, P("seeds")))


def _largest_divisor(number: int, most: int) -> int:
    return max(k for k in range(1, min(number, most) + 1) if number % k == 0)


class Packed:
    """Seeds packed on a mesh: a function of one seed becomes one program over all of them.

    Every leaf of what a program takes and gives has a leading axis of seeds [S]. Predictors are pytrees, so those of
    one structure share one compiled program, whatever the conjugation.
    """

    def __init__(self, seeds: Sequence[int], mesh: Mesh):
        self.mesh, self.seeds = mesh, shard_seeds(jnp.array(seeds, jnp.uint32), mesh)
        self._predict = self.program(lambda predictor, prompts: predictor(prompts))
        self._apply = self.program(lambda conjugation, prompts: conjugation.apply(prompts))
        self._undo = self.program(lambda conjugation, predictions, prompts: conjugation.undo(predictions, prompts))

    def program(self, function: Callable[..., Any], donate: tuple[int, ...] = ()) -> Callable[..., Any]:
        """The function of one seed's arguments, compiled over all seeds; see `over_seeds`."""
        return over_seeds(function, self.mesh, donate)

    def by_seed(self, function: Callable[[Array], Any]) -> Any:
        """The function of every seed, packed."""
        return self.program(function)(self.seeds)

    @pinned()
    def repeated(self, tree: Any) -> Any:
        """Repeats a tree for every seed."""
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(self.seeds), *jnp.shape(leaf))), tree)

    def sharded(self, tree: Any) -> Any:
        """The packed tree, laid over the mesh."""
        return shard_seeds(tree, self.mesh)

    def conjugated(self, conjugation: Any, prompts: Any) -> Any:
        """The prompts as a conjugation shows them."""
        return self._apply(conjugation, prompts)

    def predict(self, predictor: Any, prompts: Any, conjugation: Any = None) -> Array:
        """Predictions [S, prompts, K, *event]; under a conjugation, if one is given."""
        if conjugation is None:
            return self._predict(predictor, prompts)
        return self._undo(conjugation, self._predict(predictor, self.conjugated(conjugation, prompts)), prompts)
