"""The contract of a world, and the list of worlds. No jax here until a world is asked to work.

A world is a folder with two modules. `settings` holds its description `WORLD`, without jax: what its configurations
are, what its families and conjugations are called. `world` holds its class `World`, with jax: how it samples, infers
and reads. Everything else (training, measuring, drawing) asks these two and imports no world.

Shapes: K positions in a prompt; *event, the axes of one prediction, () in regression and (vocabulary,) in language.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jax import Array

WORLDS = {"regression": "implicit_inference.regression", "language": "implicit_inference.language"}
"""name -> its folder, as a package"""

Tasks = Any
"""A distribution over tasks; a pytree"""
Prompts = Any
"""Prompts [..., K] of a world; a pytree"""
Conjugation = Any
"""An invertible map of prompts with `apply`, `undo` and `inverse`; a pytree"""
Predictor = Callable[[Prompts], "Array"]
"""Prompts -> predictions of the mean of T(y) [..., K, *event]; prediction k sees only the pairs before k, and x_k"""


@dataclass(frozen=True)
class Score:
    """A proper score: E loss(f, T(y)) - E loss(m, T(y)) = E divergence(m, f) for the exact mean m of T(y).

    Loss and divergence reduce the event axes; all work on arrays of NumPy and of JAX.
    """

    loss: Callable[[Any, Any], Any]
    """(predictions, targets), both [..., K, *event] -> [..., K]"""
    divergence: Callable[[Any, Any], Any]
    """(means, predictions), both [..., K, *event] -> [..., K]"""
    shrink: Callable[[Any, Any], Callable[[Any], Any]]
    """(predictions, truth), both [S, prompts, K, *event] -> the best map of predictions that leaves the prompt alone"""
    mean: Callable[[Any], Any] = lambda numbers: numbers
    """numbers [..., K, *event] -> the nearest ones that a mean of T(y) can be; where it can be any, they themselves"""


@dataclass(frozen=True)
class Move:
    """A kind of conjugation that a probe measures."""

    field: str
    """The field of the section `probe` with its strengths; none: it has no strength"""
    label: str
    """For people; `{:g}` stands for the strength"""
    axis: str = "strength"
    """The strength on an axis"""


@dataclass(frozen=True)
class Description:
    """A world in words and numbers: all that reads tables and draws figures needs no more."""

    base: Any
    """The configuration with every field at its default"""
    presets: Mapping[str, Any]
    preferred: str
    """The family that fine-tuning prefers"""
    forgotten: str
    """The family on whose prompts forgetting is measured"""
    exact: Mapping[str, str]
    """family -> the name of its exact predictor"""
    moves: Mapping[str, Move]
    """conjugation -> what of it is measured"""
    dial: str
    """The conjugation whose strength is chosen, by the loss on separate prompts; at strength 1 it is the identity"""
    early: Callable[[Any], int]
    """configuration -> exemplars up to which a task is not pinned down"""
    whole: Callable[[Any], bool]
    """configuration -> whether fine-tuning shows the whole preferred family, not another set of tasks"""
    settled: Callable[[Any], Any]
    """configuration -> the one with its fields that do nothing at their defaults: equal results, equal runs"""
    checks: tuple[tuple[tuple[str, ...], Callable[[Any], None]], ...]
    """(sections that it compares, function that raises ConfigError for fields that do not go together)"""
    sizes: Callable[[Any], Mapping[str, int]]
    """configuration -> numbers of a prompt (`prompt`), tokens (`tokens`), of a token (`token`), outputs (`outputs`)"""
    memory: Callable[[Any], Mapping[str, int]]
    """configuration -> bytes of a seed's tasks, by the field that drives them"""
    titled: tuple[str, ...]
    """The fields whose values stand above a figure"""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Further families that losses are measured on -> the one of the two that each belongs to"""
    words: Mapping[str, str] = field(default_factory=dict)
    """Names for people, of families, predictors, and fields of the configuration; `loss`: the label of an axis"""

    def __post_init__(self) -> None:
        """Raises ValueError where a conjugation names a field that the section `probe` does not have."""
        for name, move in self.moves.items():
            if move.field and not hasattr(self.base.probe, move.field):
                raise ValueError(f"moves[{name!r}].field = {move.field!r}: the section probe has no such field")

    @property
    def families(self) -> tuple[str, str]:
        """The two parts of the pretraining distribution, the preferred one first."""
        return self.preferred, self.forgotten

    def gain_family(self, config: Any) -> str:
        """The family whose gain is measured: the preferred one, or `finetuning`, the set that is shown instead."""
        return self.preferred if self.whole(config) else "finetuning"

    def held_out(self, config: Any) -> tuple[str, ...]:
        """The families of held-out prompts."""
        return (*self.families, *self.elsewhere, *(() if self.whole(config) else ("finetuning",)))


class World(ABC):
    """A world at work. Finals are frozen, hashable dataclasses made from a configuration: static under jit.

    To implement: the methods below. For free: pretraining, fine-tuning by every method, students, controls, probes,
    recovery, attribution, gates, effective priors, figures, reports, sweeps.
    """

    score: Score
    worlds: int
    """How many worlds the seeds live in; 0: each in its own"""

    @classmethod
    @abstractmethod
    def of(cls, config: Any) -> World:
        """The world of a configuration."""

    @abstractmethod
    def families(self, seed: Array | int) -> dict[str, Tasks]:
        """The tasks of the preferred family and of the forgotten one, by name, in this order."""

    def home(self, seed: Array | int) -> Array | int:
        """The seed whose tasks a seed has: what `families` and `shown` draw, they draw from its streams."""
        return seed % self.worlds if self.worlds else seed

    def measured(self, seed: Array | int, family: str) -> Tasks:
        """The tasks that held-out prompts of a family, and those of a lesson, are drawn from; itself, by default."""
        return self.families(seed)[family]

    @abstractmethod
    def shown(self, seed: Array | int, training: Any) -> Tasks:
        """The tasks that stand for the preferred family in a training; that family itself, by default."""

    @abstractmethod
    def mixture(self, parts: tuple[Tasks, ...], log_weights: Array) -> Tasks:
        """Component c with probability proportional to exp(`log_weights[c]`)."""

    @abstractmethod
    def sample(self, key: Array, tasks: Tasks, n: int) -> Any:
        """n prompts of tasks, with `prompts` [n, K], and what else `truth` and `continued` need."""

    @abstractmethod
    def truth(self, batch: Any) -> Array:
        """E[T(y_k) | task, x_k] of a batch [n, K, *event]."""

    @abstractmethod
    def labels(self, prompts: Prompts) -> Array:
        """T(y_k) of prompts [..., K, *event]."""

    @abstractmethod
    def blank(self, key: Array, n: int) -> Any:
        """A batch as `sample` gives, of n prompts whose labels are to be `continued` from the first on."""

    @abstractmethod
    def continued(self, predictor: Predictor, batch: Any, start: int) -> Prompts:
        """The prompts of a batch [n, K], labels from position `start` on drawn from the predictor, one by one."""

    @abstractmethod
    def exact(self, tasks: Tasks) -> Predictor:
        """The exact mean m of T(y_k) under a prior; a pytree."""

    @abstractmethod
    def evidence(self, tasks: Tasks, prompts: Prompts) -> Array:
        """log p(y_1 ... y_k | x_1 ... x_k) for k = 0 ... K: [..., K+1]."""

    @abstractmethod
    def log_odds(self, first: Tasks, second: Tasks, prompts: Prompts) -> Array:
        """log p(past | first) - log p(past | second) before y_k is seen [..., K]."""

    @abstractmethod
    def tokens(self, prompts: Prompts) -> Array:
        """Writes prompts as a network reads them [..., tokens, token]."""

    @abstractmethod
    def read(self, outputs: Array) -> Array:
        """Predictions [..., K, *event] from a network's outputs [..., tokens, outputs]."""

    @abstractmethod
    def conjugation(self, seed: Array | int, move: str, strength: Any) -> Conjugation:
        """The conjugation that a probe measures; its strength may be traced, or None."""

    def judged(self, predictions: Any, prompts: Prompts) -> Any:
        """Keeps the part of predictions [..., K, *event] that a measurement judges; all of it, by default."""
        return predictions

    @property
    def quantities(self) -> Mapping[str, Callable[[Any, Any, Prompts], Any]]:
        """Further numbers measured of every predictor: name -> (predictions, truth, prompts) -> [..., K]."""
        return {}

    def choices(self, seed: Array | int) -> tuple[Conjugation, ...]:
        """Conjugations that leave the law of the forgotten family's prompts as it is; none, by default.

        A probe shows each past by the one under which it is the least likely for the preferred family.
        """
        return ()


@cache
def described(name: str) -> Description:
    """The description of a world by its name, a key of WORLDS."""
    found: Description = import_module(f"{WORLDS[name]}.settings").WORLD
    return found


@cache
def world_of(config: Any) -> World:
    """The world of a configuration, at work."""
    made: World = import_module(f"{WORLDS[config.world]}.world").World.of(config)
    return made
