"""Task distributions: the prior over the weights w of a linear regression."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Shaped

from implicit_inference.bayes.shapes import floating, require, require_scalar, width
from implicit_inference.pytrees import pytree

T = TypeVar("T")


@pytree
class WeightMap:
    """The map of tasks that a linear map of prompts induces.

    x -> R x / c and y -> g y + <v, x> turn a prompt of task w into one of task w' = c R (g w + v),
    with g = `label_scale`, c = `input_scale`, R = `rotation` [d, d], v = `shift` [d]. None means untouched.
    """

    label_scale: Float[Array, ""] | float | None = None
    input_scale: Float[Array, ""] | float | None = None
    rotation: Float[Array, "d d"] | None = None
    shift: Float[Array, " d"] | None = None

    def __call__(self, ws: Shaped[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        """Maps tasks; raises ValueError for a field whose shape does not fit them."""
        self._check(width("ws", ws))
        ws = floating(ws)
        if self.label_scale is not None:
            ws = ws * self.label_scale
        if self.shift is not None:
            ws = ws + jnp.expand_dims(self.shift, range(ws.ndim - 1))
        if self.rotation is not None:
            ws = jnp.einsum("ij,...j->...i", self.rotation, ws, precision="highest")
        if self.input_scale is not None:
            ws = ws * self.input_scale
        return ws

    def _check(self, dim: int) -> None:
        beside = f"tasks have {dim} inputs"
        for name, shape in (("label_scale", ()), ("input_scale", ()), ("rotation", (dim, dim)), ("shift", (dim,))):
            if getattr(self, name) is not None:
                require(f"the {name} of a WeightMap", getattr(self, name), shape, beside)

    @property
    def stretch(self) -> Float[Array, ""]:
        """The factor |g c| by which the map multiplies distances between tasks."""
        return jnp.abs(jnp.asarray(1.0 if self.label_scale is None else self.label_scale)) * jnp.abs(
            jnp.asarray(1.0 if self.input_scale is None else self.input_scale)
        )


@pytree
class Answers:
    """How n tasks answer inputs [n, K, d]: who they are, the noise-free labels, and the noise that belongs on top.

    `component` is the part of the distribution that a task came from; `noise_std` is [n].
    """

    ws: Float[Array, "n p"]
    component: Int[Array, " n"]
    clean_labels: Float[Array, "n K"]
    noise_std: Float[Array, " n"]


class TaskDistribution(abc.ABC):
    """A prior over tasks w. A family is complete with `dim`, `draw`, `push`, and its `posterior_predictive`."""

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """d, the number of inputs of a task."""

    @abc.abstractmethod
    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n p"], Int[Array, " n"]]:
        """n tasks, and for each the index of the part of the distribution that it came from."""

    @abc.abstractmethod
    def push(self, weight_map: WeightMap) -> TaskDistribution:
        """The distribution of `weight_map(w)`; an error if the family has no such member."""

    def check(self) -> None:  # noqa: B027
        """Raises ValueError if the arrays of the distribution do not fit together; families with several say how."""

    def answer(self, key: Array, xs: Shaped[Array, "n K d"], noise_std: Array | float) -> Answers:
        """n tasks drawn with `key` answer `xs`, by <w, x> unless the family says otherwise.

        Raises ValueError for inputs of another dimension, or noise that is not one number.
        """
        self.check()
        require("xs", xs, (*jnp.shape(xs)[:2], self.dim), f"tasks have {self.dim} inputs")
        require_scalar("noise_std", noise_std)
        xs = floating(xs)
        ws, component = self.draw(key, len(xs))
        noise = jnp.full(len(xs), noise_std, jnp.result_type(noise_std, xs, 1.0))
        return Answers(ws, component, jnp.einsum("nkd,nd->nk", xs, ws, precision="highest"), noise)

    def sample(self, key: Array, n: int) -> Float[Array, "n d"]:
        """n independent tasks."""
        return self.draw(key, n)[0]


@pytree
class GaussianTasks(TaskDistribution):
    """w ~ N(mean, std^2 I_d), with `mean` [d] and `std` a scalar (a standard deviation, > 0)."""

    mean: Float[Array, " d"]
    std: Float[Array, ""] | float = 1.0

    @property
    def dim(self) -> int:
        return width("the mean of GaussianTasks", self.mean)

    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n d"], Int[Array, " n"]]:
        self.check()
        mean = floating(self.mean)
        ws = mean[None] + self.std * jax.random.normal(key, (n, *mean.shape), jnp.float32)
        return ws, jnp.zeros(n, jnp.int32)

    def check(self) -> None:
        require("the mean of GaussianTasks", self.mean, (self.dim,), "it is one list of numbers")
        require_scalar("the std of GaussianTasks", self.std)

    def push(self, weight_map: WeightMap) -> GaussianTasks:
        self.check()
        return GaussianTasks(weight_map(self.mean), weight_map.stretch * self.std)


@pytree
class DiscreteTasks(TaskDistribution):
    """w is row j of `ws` [n, d] with log probability `log_probs[j]` [n]; None means uniform."""

    ws: Float[Array, "n d"]
    log_probs: Float[Array, " n"] | None = None

    @property
    def dim(self) -> int:
        return width("the ws of DiscreteTasks", self.ws)

    @property
    def log_prior(self) -> Float[Array, " n"]:
        """Normalised log probabilities of the tasks."""
        n = self.ws.shape[0]
        return jnp.full(n, -jnp.log(n)) if self.log_probs is None else jax.nn.log_softmax(floating(self.log_probs))

    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n d"], Int[Array, " n"]]:
        self.check()
        index = _drawn(key, self.log_prior, n)
        return floating(self.ws)[index], index

    def check(self) -> None:
        if jnp.ndim(self.ws) != 2 or not len(self.ws):
            raise ValueError(
                f"the ws of DiscreteTasks have shape {jnp.shape(self.ws)}: one row for each task, at least one"
            )
        if self.log_probs is not None:
            require(
                "the log_probs of DiscreteTasks", self.log_probs, (len(self.ws),), f"there are {len(self.ws)} tasks"
            )

    def push(self, weight_map: WeightMap) -> DiscreteTasks:
        self.check()
        return DiscreteTasks(weight_map(self.ws), self.log_probs)


@pytree
class Mixture(TaskDistribution):
    """Component c with probability proportional to exp(`log_weights[c]`) [C]; components may be mixtures."""

    components: tuple[TaskDistribution, ...]
    log_weights: Float[Array, " C"]

    @property
    def dim(self) -> int:
        return self.components[0].dim

    def check(self) -> None:
        n, dims = len(self.components), [component.dim for component in self.components]
        require("the log_weights of a Mixture", self.log_weights, (n,), f"there are {n} components")
        if len(set(dims)) != 1:
            raise ValueError(f"the components of a Mixture have {dims} inputs: at least one component, all alike")
        for component in self.components:
            component.check()

    def draw(self, key: Array, n: int) -> tuple[Float[Array, "n p"], Int[Array, " n"]]:
        return self._picked(key, n, lambda component, key: component.draw(key, n)[0])

    def push(self, weight_map: WeightMap) -> Mixture:
        return Mixture(tuple(c.push(weight_map) for c in self.components), self.log_weights)

    def answer(self, key: Array, xs: Shaped[Array, "n K d"], noise_std: Array | float) -> Answers:
        answers, index = self._picked(key, len(xs), lambda component, key: component.answer(key, xs, noise_std))
        return replace(answers, component=index)

    def _picked(self, key: Array, n: int, ask: Callable[[TaskDistribution, Array], T]) -> tuple[T, Int[Array, " n"]]:
        """Asks every component for n rows; keeps, for each row, those of a component drawn at random."""
        self.check()
        pick_key, *keys = jax.random.split(key, 1 + len(self.components))
        index = _drawn(pick_key, self.log_weights, n)
        sampled = [ask(component, key) for component, key in zip(self.components, keys, strict=True)]
        return jax.tree.map(lambda *parts: _stacked(parts)[index, jnp.arange(n)], *sampled), index


def _drawn(key: Array, log_weights: Array, n: int) -> Int[Array, " n"]:
    """n indices, each with probability proportional to the exponential of its log weight; the same under any flag."""
    weights = jnp.asarray(log_weights, jnp.float32)
    return jax.random.categorical(key, weights, shape=(n,), mode="low").astype(jnp.int32)


def _stacked(parts: tuple[Array, ...]) -> Array:
    """The parts [n, ...] as one array [C, n, ...], rows filled up with zeros: some tasks have fewer weights."""
    width = max(part.shape[-1] for part in parts)
    return jnp.stack([jnp.pad(p, [(0, 0)] * (p.ndim - 1) + [(0, width - p.shape[-1])]) for p in parts])
