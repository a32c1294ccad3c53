"""Conjugations: invertible maps of prompts that ask for the same capability from somewhere else.

A conjugation s has `apply` on prompts, `undo` on predictions, and `push`, the action on the prior that it induces:
a prompt of w ~ tasks at noise sigma becomes a prompt of w' ~ tasks' at noise sigma'. Exact Bayes obeys
undo(bayes(push(tasks))(apply(prompts))) = bayes(tasks)(prompts); a network that infers its task need not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax.numpy as jnp
from jax import Array
from jax.tree_util import register_dataclass
from jaxtyping import Float

from implicit_inference.bayes.conjugation import Conjugation
from implicit_inference.bayes.shapes import floating, require, require_scalar
from implicit_inference.regression.prompts import Prompts, checked
from implicit_inference.regression.tasks import TaskDistribution, WeightMap


@register_dataclass
@dataclass(frozen=True)
class Identity(Conjugation):
    """Nothing moves."""

    def apply(self, prompts: Prompts) -> Prompts:
        return checked(prompts)

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        return fitting(predictions, prompts)

    def push(self, tasks: TaskDistribution, noise_std: Array | float) -> tuple[TaskDistribution, Array | float]:
        return tasks, noise_std

    def inverse(self) -> Identity:
        return self


@register_dataclass
@dataclass(frozen=True)
class ScaleLabels(Conjugation):
    """y -> factor y (factor != 0; -1 flips the sign): w -> factor w, sigma -> |factor| sigma."""

    factor: Float[Array, ""] | float

    def apply(self, prompts: Prompts) -> Prompts:
        self._check()
        prompts = checked(prompts)
        return replace(prompts, ys=self.factor * prompts.ys)

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        self._check()
        return fitting(predictions, prompts) / self.factor

    def push(self, tasks: TaskDistribution, noise_std: Array | float) -> tuple[TaskDistribution, Array | float]:
        self._check()
        require_scalar("noise_std", noise_std)
        return tasks.push(WeightMap(label_scale=self.factor)), jnp.abs(floating(self.factor)) * noise_std

    def inverse(self) -> ScaleLabels:
        return ScaleLabels(1 / self.factor)

    def _check(self) -> None:
        require_scalar("the factor of ScaleLabels", self.factor)


@register_dataclass
@dataclass(frozen=True)
class ScaleInputs(Conjugation):
    """x -> x / factor (factor != 0): w -> factor w. The inputs leave the law that networks are trained on."""

    factor: Float[Array, ""] | float

    def apply(self, prompts: Prompts) -> Prompts:
        self._check()
        prompts = checked(prompts)
        return replace(prompts, xs=prompts.xs / self.factor)

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        self._check()
        return fitting(predictions, prompts)

    def push(self, tasks: TaskDistribution, noise_std: Array | float) -> tuple[TaskDistribution, Array | float]:
        self._check()
        return tasks.push(WeightMap(input_scale=self.factor)), noise_std

    def inverse(self) -> ScaleInputs:
        return ScaleInputs(1 / self.factor)

    def _check(self) -> None:
        require_scalar("the factor of ScaleInputs", self.factor)


@register_dataclass
@dataclass(frozen=True)
class RotateInputs(Conjugation):
    """x -> R x for an orthogonal `rotation` R [d, d] (reflections too): w -> R w."""

    rotation: Float[Array, "d d"]

    def apply(self, prompts: Prompts) -> Prompts:
        prompts = checked(prompts)
        self._check(prompts.xs.shape[-1])
        return replace(prompts, xs=jnp.einsum("ij,...j->...i", self.rotation, prompts.xs))

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        self._check(checked(prompts).xs.shape[-1])
        return fitting(predictions, prompts)

    def push(self, tasks: TaskDistribution, noise_std: Array | float) -> tuple[TaskDistribution, Array | float]:
        self._check(tasks.dim)
        return tasks.push(WeightMap(rotation=self.rotation)), noise_std

    def inverse(self) -> RotateInputs:
        return RotateInputs(jnp.swapaxes(self.rotation, -1, -2))

    def _check(self, dim: int) -> None:
        require("the rotation of RotateInputs", self.rotation, (dim, dim), f"there are {dim} inputs")


@register_dataclass
@dataclass(frozen=True)
class ShiftLabels(Conjugation):
    """y_k -> y_k + <shift, x_k> with a known `shift` [d]: w -> w + shift."""

    shift: Float[Array, " d"]

    def apply(self, prompts: Prompts) -> Prompts:
        prompts = checked(prompts)
        self._check(prompts.xs.shape[-1])
        return replace(prompts, ys=prompts.ys + prompts.xs @ self.shift)

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        prompts = checked(prompts)
        self._check(prompts.xs.shape[-1])
        return fitting(predictions, prompts) - prompts.xs @ self.shift

    def push(self, tasks: TaskDistribution, noise_std: Array | float) -> tuple[TaskDistribution, Array | float]:
        self._check(tasks.dim)
        return tasks.push(WeightMap(shift=self.shift)), noise_std

    def inverse(self) -> ShiftLabels:
        return ShiftLabels(-floating(self.shift))

    def _check(self, dim: int) -> None:
        require("the shift of ShiftLabels", self.shift, (dim,), f"there are {dim} inputs")


@register_dataclass
@dataclass(frozen=True)
class Chain(Conjugation):
    """The conjugations one after another, the first first; predictions are undone from the last to the first."""

    conjugations: tuple[Conjugation, ...]

    def apply(self, prompts: Prompts) -> Prompts:
        prompts = checked(prompts)
        for conjugation in self.conjugations:
            prompts = conjugation.apply(prompts)
        return prompts

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        if not self.conjugations:
            return fitting(predictions, prompts)
        first, rest = self.conjugations[0], Chain(self.conjugations[1:])
        return first.undo(rest.undo(predictions, first.apply(prompts)), prompts)

    def push(self, tasks: TaskDistribution, noise_std: Array | float) -> tuple[TaskDistribution, Array | float]:
        for conjugation in self.conjugations:
            tasks, noise_std = conjugation.push(tasks, noise_std)
        return tasks, noise_std

    def inverse(self) -> Chain:
        return Chain(tuple(c.inverse() for c in reversed(self.conjugations)))


def fitting(predictions: Array, prompts: Prompts) -> Array:
    """Returns predictions in floating point; raises ValueError unless there is one for each label."""
    require("predictions", predictions, jnp.shape(prompts.ys), f"ys have shape {jnp.shape(prompts.ys)}")
    return floating(predictions)
