"""A discrete set too large or too slow for one device, spread over several."""

from __future__ import annotations

from dataclasses import field

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Float, Int

from implicit_inference.bayes.mixtures import NEVER, Part, Predictive, part
from implicit_inference.bayes.precision import in_float64
from implicit_inference.pytrees import pytree
from implicit_inference.regression.predictive import posterior_predictive
from implicit_inference.regression.prompts import Prompts
from implicit_inference.regression.tasks import DiscreteTasks, TaskDistribution, WeightMap


@pytree
class ShardedTasks(TaskDistribution):
    """`tasks`, each device of the one-axis `mesh` holding a slice of them; prompts go to every device.

    (To spread prompts rather than tasks, shard the prompts' leading axis: all of exact inference follows.)
    """

    tasks: DiscreteTasks
    mesh: Mesh = field(metadata={"static": True})

    @property
    def dim(self) -> int:
        return self.tasks.dim

    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n d"], Int[Array, " n"]]:
        return self.tasks.draw(key, n)

    def check(self) -> None:
        self.tasks.check()
        if len(self.mesh.axis_names) != 1:
            raise ValueError(f"the mesh of ShardedTasks has axes {self.mesh.axis_names}: one is expected")

    def push(self, weight_map: WeightMap) -> ShardedTasks:
        return ShardedTasks(self.tasks.push(weight_map), self.mesh)


@posterior_predictive.register
@in_float64
def _(tasks: ShardedTasks, prompts: Prompts, noise_std: Array | float) -> Predictive:
    """Every device streams its own slice; three sums over the devices put the slices together."""
    (axis,) = tasks.mesh.axis_names
    missing = -len(tasks.tasks.ws) % tasks.mesh.size
    ws = jnp.pad(tasks.tasks.ws, ((0, missing), (0, 0)))
    log_prior = jnp.pad(jnp.maximum(tasks.tasks.log_prior, NEVER), (0, missing), constant_values=NEVER)

    def of_slice(ws: Array, log_prior: Array, prompts: Prompts, noise_std: Array) -> Predictive:
        predictive = posterior_predictive(DiscreteTasks(ws, log_prior), prompts, noise_std)
        return _joined_over(axis, part(jax.nn.logsumexp(log_prior), predictive))

    everywhere, sliced = PartitionSpec(), PartitionSpec(axis)
    over_devices = jax.shard_map(
        of_slice, mesh=tasks.mesh, in_specs=(sliced, sliced, everywhere, everywhere), out_specs=everywhere
    )
    return over_devices(ws, log_prior, prompts, jnp.asarray(noise_std))


def _joined_over(axis: str, part: Part) -> Predictive:
    """The parts of all devices as one."""

    def logsumexp(x: Array) -> Array:
        largest = jax.lax.pmax(jax.lax.stop_gradient(x), axis)
        return largest + jnp.log(jax.lax.psum(jnp.exp(x - largest), axis))

    log_share = part.log_weight - logsumexp(part.log_weight)
    mean = jax.lax.psum(jnp.exp(log_share) * part.predictive.mean, axis)
    return Predictive(mean, logsumexp(log_share + part.predictive.log_density))
