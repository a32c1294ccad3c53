"""Task distributions: the prior over the weights w of a linear regression."""

from __future__ import annotations

import abc
from dataclasses import dataclass


import jax
import jax.numpy as jnp
from jax import Array
from jax.tree_util import register_dataclass
from jaxtyping import Float, Int




@register_dataclass
@dataclass(frozen=True)
class WeightMap:
    """What a linear map of prompts does to their task.

    x -> R x / c and y -> g y + <v, x> turn a prompt of task w into one of task w' = c R (g w + v),
    with g = `label_scale`, c = `input_scale`, R = `rotation` [d, d], v = `shift` [d]. None means untouched.
    """

    label_scale: Float[Array, ""] | float | None = None
    input_scale: Float[Array, ""] | float | None = None
    rotation: Float[Array, "d d"] | None = None
    shift: Float[Array, " d"] | None = None

    def __call__(self, ws: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        if self.label_scale is not None:
            ws = ws * self.label_scale
        if self.shift is not None:
            ws = ws + self.shift
        if self.rotation is not None:
            ws = jnp.einsum("ij,...j->...i", self.rotation, ws)
        if self.input_scale is not None:
            ws = ws * self.input_scale
        return ws

    @property
    def stretch(self) -> Float[Array, ""]:
        """The factor |g c| by which the map multiplies distances between tasks."""
        return jnp.abs(jnp.asarray(1.0 if self.label_scale is None else self.label_scale)) * jnp.abs(
            jnp.asarray(1.0 if self.input_scale is None else self.input_scale)
        )


class TaskDistribution(abc.ABC):
    """A prior over w. A family is complete with `draw`, `push`, and its `posterior_predictive` in bayes.py."""

    @abc.abstractmethod
    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n d"], Int[Array, " n"]]:
        """n tasks, and for each the index of the part of the distribution that it came from."""

    @abc.abstractmethod
    def push(self, weight_map: WeightMap) -> TaskDistribution:
        """The distribution of `weight_map(w)`."""

    def sample(self, key: Array, n: int) -> Float[Array, "n d"]:
        """n independent tasks."""
        return self.draw(key, n)[0]


@register_dataclass
@dataclass(frozen=True)
class GaussianTasks(TaskDistribution):
    """w ~ N(mean, std^2 I_d), with `mean` [d] and `std` a scalar (a standard deviation, > 0)."""

    mean: Float[Array, " d"]
    std: Float[Array, ""] | float = 1.0

    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n d"], Int[Array, " n"]]:
        mean = jnp.asarray(self.mean)
        ws = mean + self.std * jax.random.normal(key, (n, *mean.shape), mean.dtype)
        return ws, jnp.zeros(n, jnp.int32)

    def push(self, weight_map: WeightMap) -> GaussianTasks:
        return GaussianTasks(weight_map(self.mean), weight_map.stretch * self.std)


@register_dataclass
@dataclass(frozen=True)
class DiscreteTasks(TaskDistribution):
    """w is row j of `ws` [n, d] with log probability `log_probs[j]` [n]; None means uniform."""

    ws: Float[Array, "n d"]
    log_probs: Float[Array, " n"] | None = None

    @property
    def log_prior(self) -> Float[Array, " n"]:
        """Normalised log probabilities of the tasks."""
        n = self.ws.shape[0]
        return jnp.full(n, -jnp.log(n)) if self.log_probs is None else jax.nn.log_softmax(self.log_probs)

    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n d"], Int[Array, " n"]]:
        index = jax.random.categorical(key, self.log_prior, shape=(n,))
        return jnp.asarray(self.ws)[index], index

    def push(self, weight_map: WeightMap) -> DiscreteTasks:
        return DiscreteTasks(weight_map(self.ws), self.log_probs)


@register_dataclass
@dataclass(frozen=True)
class Mixture(TaskDistribution):
    """Component c with probability proportional to exp(`log_weights[c]`) [C]; components may be mixtures."""

    components: tuple[TaskDistribution, ...]
    log_weights: Float[Array, " C"]

    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n d"], Int[Array, " n"]]:
        pick_key, *keys = jax.random.split(key, 1 + len(self.components))
        index = jax.random.categorical(pick_key, jnp.asarray(self.log_weights), shape=(n,))
        draws = jnp.stack([c.sample(k, n) for c, k in zip(self.components, keys, strict=True)])
        return draws[index, jnp.arange(n)], index

    def push(self, weight_map: WeightMap) -> Mixture:
        return Mixture(tuple(c.push(weight_map) for c in self.components), self.log_weights)
