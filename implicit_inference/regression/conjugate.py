"""Conjugations: invertible maps of prompts that ask for the same capability from somewhere else.

A conjugation s has `apply` on prompts, `undo` on predictions, and `push`, the action on the prior that it induces:
a prompt of w ~ tasks at noise sigma becomes a prompt of w' ~ tasks' at noise sigma'. Exact Bayes obeys
undo(bayes(push(tasks))(apply(prompts))) = bayes(tasks)(prompts); a network that infers its task need not.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jax import Array
from jax.tree_util import register_dataclass
from jaxtyping import Float

from implicit_inference.regression.prompts import Predictor, Prompts, check_prompts
from implicit_inference.regression.shapes import floating, require, require_scalar
from implicit_inference.regression.tasks import TaskDistribution, WeightMap


class Conjugation(abc.ABC):
    """An invertible map of prompts. Finals are frozen pytrees; their parameters may be traced."""

    @abc.abstractmethod
    def apply(self, prompts: Prompts) -> Prompts:
        """The prompt to show instead."""

    @abc.abstractmethod
    def undo(self, predictions: Float[Array, "*batch K"], prompts: Prompts) -> Float[Array, "*batch K"]:
        """Predictions for `apply(prompts)`, translated back to `prompts`."""

    @abc.abstractmethod
    def push(self, tasks: TaskDistribution, noise_std: Array | float) -> tuple[TaskDistribution, Array | float]:
        """The task distribution and noise of `apply(prompts)`, for prompts of `tasks` at `noise_std`."""

    @abc.abstractmethod
    def inverse(self) -> Conjugation:
        """The conjugation that leads back: `s.inverse().apply(s.apply(prompts))` is `prompts`."""


@register_dataclass
@dataclass(frozen=True)
class Identity(Conjugation):
    """Nothing moves."""

    def apply(self, prompts: Prompts) -> Prompts:
        return prompts

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        return predictions

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
        require_scalar("the factor of ScaleLabels", self.factor)
        return replace(prompts, ys=self.factor * floating(prompts.ys))

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        require_predictions(predictions, prompts)
        return predictions / self.factor

    def push(self, tasks: TaskDistribution, noise_std: Array | float) -> tuple[TaskDistribution, Array | float]:
        require_scalar("the factor of ScaleLabels", self.factor)
        return tasks.push(WeightMap(label_scale=self.factor)), jnp.abs(self.factor) * noise_std

    def inverse(self) -> ScaleLabels:
        return ScaleLabels(1 / self.factor)


@register_dataclass
@dataclass(frozen=True)
class ScaleInputs(Conjugation):
    """x -> x / factor (factor != 0): w -> factor w. The inputs leave the law that networks are trained on."""

    factor: Float[Array, ""] | float

    def apply(self, prompts: Prompts) -> Prompts:
        require_scalar("the factor of ScaleInputs", self.factor)
        return replace(prompts, xs=floating(prompts.xs) / self.factor)

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        return predictions

    def push(self, tasks: TaskDistribution, noise_std: Array | float) -> tuple[TaskDistribution, Array | float]:
        require_scalar("the factor of ScaleInputs", self.factor)
        return tasks.push(WeightMap(input_scale=self.factor)), noise_std

    def inverse(self) -> ScaleInputs:
        return ScaleInputs(1 / self.factor)


@register_dataclass
@dataclass(frozen=True)
class RotateInputs(Conjugation):
    """x -> R x for an orthogonal `rotation` R [d, d] (reflections too): w -> R w."""

    rotation: Float[Array, "d d"]

    def apply(self, prompts: Prompts) -> Prompts:
        self._check(check_prompts(prompts))
        return replace(prompts, xs=jnp.einsum("ij,...j->...i", self.rotation, floating(prompts.xs)))

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        return predictions

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
        self._check(check_prompts(prompts))
        return replace(prompts, ys=floating(prompts.ys) + floating(prompts.xs) @ self.shift)

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        self._check(check_prompts(prompts))
        require_predictions(predictions, prompts)
        return predictions - floating(prompts.xs) @ self.shift

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
        for conjugation in self.conjugations:
            prompts = conjugation.apply(prompts)
        return prompts

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        if not self.conjugations:
            return predictions
        first, rest = self.conjugations[0], Chain(self.conjugations[1:])
        return first.undo(rest.undo(predictions, first.apply(prompts)), prompts)

    def push(self, tasks: TaskDistribution, noise_std: Array | float) -> tuple[TaskDistribution, Array | float]:
        for conjugation in self.conjugations:
            tasks, noise_std = conjugation.push(tasks, noise_std)
        return tasks, noise_std

    def inverse(self) -> Chain:
        return Chain(tuple(c.inverse() for c in reversed(self.conjugations)))


def require_predictions(predictions: Array, prompts: Prompts) -> None:
    """Raises ValueError unless there is one prediction for each label."""
    require("predictions", predictions, jnp.shape(prompts.ys), f"ys have shape {jnp.shape(prompts.ys)}")


def conjugated(predictor: Predictor, conjugation: Conjugation) -> Predictor:
    """undo . predictor . apply, a predictor again (and a pytree, if `predictor` is one)."""
    return jax.tree_util.Partial(_conjugate, predictor, conjugation)


def _conjugate(predictor: Predictor, conjugation: Conjugation, prompts: Prompts) -> Array:
    return conjugation.undo(predictor(conjugation.apply(prompts)), prompts)
