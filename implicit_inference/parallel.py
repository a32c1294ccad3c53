"""Devices: packed seeds on a mesh, so that every device trains seeds of its own."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P


def use_cpu_cores() -> None:
    """Make a device of each core of the CPU that this process may use; too late after the first computation.

    Small matrix products gain little from a second core; a second seed on it gains almost everything.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(RuntimeError):  # the devices are there already
        jax.config.update("jax_num_cpu_devices", cores)


def seed_mesh(n_seeds: int) -> Mesh:
    """A mesh over the largest number of devices that divides `n_seeds` evenly."""
    devices = jax.devices()
    n = max(k for k in range(1, min(n_seeds, len(devices)) + 1) if n_seeds % k == 0)
    return jax.make_mesh((n,), ("seeds",), axis_types=(AxisType.Auto,), devices=devices[:n])


def over_seeds(function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """`function`, compiled, over the leading seed axis of all its arguments; seeds are split over the mesh.

    Within a device seeds are one vectorised program on an accelerator and follow one another on the CPU, where
    batched small products are slower than single ones.
    """
    on_cpu = mesh.devices.flat[0].platform == "cpu"

    def packed(*args: Any) -> Any:
        return jax.lax.map(lambda one: function(*one), args) if on_cpu else jax.vmap(function)(*args)

    return jax.jit(jax.shard_map(packed, mesh=mesh, in_specs=P("seeds"), out_specs=P("seeds"), check_vma=False))


def shard_seeds(tree: Any, mesh: Mesh) -> Any:
    """The tree with the leading axis of every leaf laid over the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, P("seeds")))
