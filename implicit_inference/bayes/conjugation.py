"""Conjugations as algebra: invertible maps of prompts, predictors under them, averages over several. Of any world.

Exact Bayes obeys undo(bayes(push(tasks))(apply(prompts))) = bayes(tasks)(prompts); a network that infers its task need
not.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from implicit_inference.bayes.compiled import compiled_once, mapped
from implicit_inference.worlds import Predictor


class Conjugation(abc.ABC):
    """An invertible map of prompts. Finals are frozen pytrees; their parameters may be traced.

    Integers become floating point. Finals raise ValueError for parameters, prompts or predictions that do not fit.
    """

    @abc.abstractmethod
    def apply(self, prompts: Any) -> Any:
        """The prompt to show instead."""

    @abc.abstractmethod
    def undo(self, predictions: Array, prompts: Any) -> Array:
        """Predictions for `apply(prompts)`, translated back to `prompts`."""

    @abc.abstractmethod
    def push(self, tasks: Any, belief: Any) -> Any:
        """The tasks and the belief (the noise) of `apply(prompts)`, for prompts of `tasks` under `belief`."""

    @abc.abstractmethod
    def inverse(self) -> Conjugation:
        """The conjugation that leads back: `s.inverse().apply(s.apply(prompts))` is `prompts`."""


def conjugated(predictor: Predictor, conjugation: Conjugation) -> Predictor:
    """undo . predictor . apply, a predictor again (and a pytree, if `predictor` is one)."""
    return jax.tree_util.Partial(_conjugate, predictor, conjugation)


def _conjugate(predictor: Predictor, conjugation: Conjugation, prompts: Any) -> Array:
    return conjugation.undo(predictor(conjugation.apply(prompts)), prompts)


def averaged(predictor: Predictor, conjugations: Sequence[Conjugation]) -> Predictor:
    """The mean of the conjugated predictions; over a group, the Reynolds average.

    By Jensen, its squared loss is never above the mean of the conjugated predictors' losses. Raises ValueError without
    conjugations.
    """
    return jax.tree_util.Partial(_average, predictor, some(conjugations))


def some(conjugations: Sequence[Conjugation]) -> tuple[Conjugation, ...]:
    if not len(conjugations):
        raise ValueError("conjugations = (): at least 1 is expected")
    return tuple(conjugations)


def _average(predictor: Predictor, conjugations: tuple[Conjugation, ...], prompts: Any) -> Array:
    return jnp.mean(conjugates(predictor, conjugations, prompts), axis=0)


@compiled_once
def conjugates(predictor: Predictor, conjugations: tuple[Conjugation, ...], prompts: Any) -> Float[Array, "S ..."]:
    """The predictions under each conjugation."""
    return mapped(lambda conjugation: conjugated(predictor, conjugation)(prompts), conjugations)
