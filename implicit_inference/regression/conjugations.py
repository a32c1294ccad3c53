"""Conjugations: invertible maps of prompts that ask for the same capability from somewhere else.

A conjugation s has `apply` on prompts, `undo` on predictions, and `push`, the action on the prior that it induces:
a prompt of w ~ tasks at noise sigma becomes a prompt of w' ~ tasks' at noise sigma'. Exact Bayes obeys
undo(bayes(push(tasks))(apply(prompts))) = bayes(tasks)(prompts); a network that infers its task need not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from implicit_inference.bayes.compiled import compiled_once, mapped
from implicit_inference.bayes.conjugation import Conjugation, conjugates, some
from implicit_inference.bayes.precision import in_float64
from implicit_inference.bayes.shapes import floating, require, require_scalar
from implicit_inference.pytrees import pytree
from implicit_inference.regression.inference import sequential_evidence
from implicit_inference.regression.prompts import Predictor, Prompts, checked
from implicit_inference.regression.tasks import TaskDistribution, WeightMap


@pytree
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


@pytree
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


@pytree
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


@pytree
class RotateInputs(Conjugation):
    """x -> R x for an orthogonal `rotation` R [d, d] (reflections too): w -> R w."""

    rotation: Float[Array, "d d"]

    def apply(self, prompts: Prompts) -> Prompts:
        prompts = checked(prompts)
        self._check(prompts.xs.shape[-1])
        return replace(prompts, xs=jnp.einsum("ij,...j->...i", self.rotation, prompts.xs, precision="highest"))

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


@pytree
class ShiftLabels(Conjugation):
    """y_k -> y_k + <shift, x_k> with a known `shift` [d]: w -> w + shift."""

    shift: Float[Array, " d"]

    def apply(self, prompts: Prompts) -> Prompts:
        prompts = checked(prompts)
        self._check(prompts.xs.shape[-1])
        return replace(prompts, ys=prompts.ys + jnp.matmul(prompts.xs, self.shift, precision="highest"))

    def undo(self, predictions: Array, prompts: Prompts) -> Array:
        prompts = checked(prompts)
        self._check(prompts.xs.shape[-1])
        return fitting(predictions, prompts) - jnp.matmul(prompts.xs, self.shift, precision="highest")

    def push(self, tasks: TaskDistribution, noise_std: Array | float) -> tuple[TaskDistribution, Array | float]:
        self._check(tasks.dim)
        return tasks.push(WeightMap(shift=self.shift)), noise_std

    def inverse(self) -> ShiftLabels:
        return ShiftLabels(-floating(self.shift))

    def _check(self, dim: int) -> None:
        require("the shift of ShiftLabels", self.shift, (dim,), f"there are {dim} inputs")


@pytree
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


def scales(factors: Sequence[float]) -> tuple[ScaleLabels, ...]:
    """Label scales, one for each factor; (1, -1) is the group of label signs."""
    return tuple(ScaleLabels(factor) for factor in factors)


def sign_flips(dim: int) -> tuple[RotateInputs, ...]:
    """The group of all 2^dim sign changes of the inputs; the first changes none."""
    signs = jnp.where((jnp.arange(2**dim)[:, None] >> jnp.arange(dim)[None]) & 1, -1.0, 1.0)
    return tuple(RotateInputs(jnp.diag(row)) for row in signs)


def rotations(key: Array, dim: int, n: int) -> tuple[RotateInputs, ...]:
    """n random orthogonal maps (Haar measure; reflections among them), the same ones for the same key."""
    return tuple(
        RotateInputs(turn) for turn in jax.vmap(_orthonormal)(jax.random.normal(key, (n, dim, dim), jnp.float32))
    )


@in_float64
def _orthonormal(rows: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """Gram-Schmidt, each row projected twice; plain array operations, where batched LAPACK can hang on few cores."""
    result = jnp.zeros_like(rows)
    for i, row in enumerate(rows):
        for _ in range(2):
            row = row - result.T @ (result @ row)
        result = result.at[i].set(row / jnp.sqrt(jnp.sum(row**2)))
    return result


def selected(
    predictor: Predictor, conjugations: Sequence[Conjugation], tasks: TaskDistribution, noise_std: Array | float
) -> Predictor:
    """For each prompt and position, the conjugation whose shown past is least likely under `tasks` at `noise_std`.

    The choice sees only pairs before the position, so this is a predictor as well. With nothing in the past, or
    equally likely pasts, the first conjugation stands. Likely means the density of the labels as shown, with no
    Jacobian: how the prompt looks to a learner who believes in `tasks`. A past whose likelihood is nan under one
    conjugation makes the prediction nan. Raises ValueError without conjugations.
    """
    return jax.tree_util.Partial(_select, predictor, some(conjugations), tasks, noise_std)


def _select(
    predictor: Predictor,
    conjugations: tuple[Conjugation, ...],
    tasks: TaskDistribution,
    noise_std: Array | float,
    prompts: Prompts,
) -> Array:
    evidence = _evidence_under(tasks, conjugations, prompts, noise_std)
    choice, unknown = jnp.argmin(evidence, axis=0), jnp.isnan(evidence).any(axis=0)
    predictions = conjugates(predictor, conjugations, prompts)
    return jnp.where(unknown, jnp.nan, jnp.take_along_axis(predictions, choice[None], axis=0)[0])


@compiled_once
def _evidence_under(
    tasks: TaskDistribution, conjugations: tuple[Conjugation, ...], prompts: Prompts, noise_std: Array | float
) -> Float[Array, "S *batch K"]:
    """The log evidence of each position's past as each conjugation shows it."""
    return mapped(lambda c: sequential_evidence(tasks, c.apply(prompts), noise_std)[..., :-1], conjugations)
