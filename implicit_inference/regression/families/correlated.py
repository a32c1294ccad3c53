"""Gaussian tasks with any covariance. The pattern of a new family: one final, its sampler, its push, its posterior."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from implicit_inference.bayes.mixtures import Predictive
from implicit_inference.bayes.precision import in_float64
from implicit_inference.bayes.shapes import floating, require, width
from implicit_inference.pytrees import pytree
from implicit_inference.regression.filters import gaussian_filter
from implicit_inference.regression.predictive import posterior_predictive
from implicit_inference.regression.prompts import Prompts
from implicit_inference.regression.tasks import TaskDistribution, WeightMap


@pytree
class CorrelatedTasks(TaskDistribution):
    """w ~ N(mean, root root^T): `mean` [d], `root` [d, d] any square root, such as `np.linalg.cholesky(covariance)`."""

    mean: Float[Array, " d"]
    root: Float[Array, "d d"]

    @property
    def dim(self) -> int:
        return width("the mean of CorrelatedTasks", self.mean)

    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n d"], Int[Array, " n"]]:
        self.check()
        mean, root = floating(self.mean), floating(self.root)
        ws = mean[None] + jnp.matmul(jax.random.normal(key, (n, self.dim), jnp.float32), root.T, precision="highest")
        return ws, jnp.zeros(n, jnp.int32)

    def check(self) -> None:
        require("the mean of CorrelatedTasks", self.mean, (self.dim,), "it is one list of numbers")
        require("the root of CorrelatedTasks", self.root, (self.dim, self.dim), f"there are {self.dim} inputs")

    def push(self, weight_map: WeightMap) -> CorrelatedTasks:
        self.check()
        turned = replace(weight_map, shift=None)(jnp.asarray(self.root).T).T
        return CorrelatedTasks(weight_map(self.mean), turned)


@posterior_predictive.register
@in_float64
def _(tasks: CorrelatedTasks, prompts: Prompts, noise_std: Array | float) -> Predictive:
    """Generalised ridge regression."""
    return Predictive(*gaussian_filter(tasks.mean, tasks.root, prompts.xs, prompts.ys, noise_std))
