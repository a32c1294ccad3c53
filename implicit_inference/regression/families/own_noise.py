"""Tasks that bring their own label noise, so that the noise itself tells the components of a mixture apart."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Shaped

from implicit_inference.bayes.mixtures import Predictive
from implicit_inference.bayes.shapes import require_scalar
from implicit_inference.pytrees import pytree
from implicit_inference.regression.predictive import posterior_predictive
from implicit_inference.regression.prompts import Prompts
from implicit_inference.regression.tasks import Answers, TaskDistribution, WeightMap


@pytree
class OwnNoise(TaskDistribution):
    """`tasks` whose labels carry noise of `noise_std` (> 0), whatever noise the prompt or the learner states."""

    tasks: TaskDistribution
    noise_std: Float[Array, ""] | float

    @property
    def dim(self) -> int:
        return self.tasks.dim

    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n p"], Int[Array, " n"]]:
        self.check()
        return self.tasks.draw(key, n)

    def check(self) -> None:
        require_scalar("the noise_std of OwnNoise", self.noise_std)
        self.tasks.check()

    def push(self, weight_map: WeightMap) -> OwnNoise:
        self.check()
        scale = 1.0 if weight_map.label_scale is None else jnp.abs(jnp.asarray(weight_map.label_scale))
        return OwnNoise(self.tasks.push(weight_map), scale * self.noise_std)

    def answer(self, key: Array, xs: Shaped[Array, "n K d"], noise_std: Array | float) -> Answers:
        self.check()
        return self.tasks.answer(key, xs, self.noise_std)


@posterior_predictive.register
def _(tasks: OwnNoise, prompts: Prompts, noise_std: Array | float) -> Predictive:
    """The posterior of the tasks within, at their own noise."""
    return posterior_predictive(tasks.tasks, prompts, tasks.noise_std)
