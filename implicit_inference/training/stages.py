"""The stages of training: what each starts from, which part of it trains, on what, and what is kept.

pretrain and scratch train fresh parameters on tasks; finetune the pretrained network, by a method of `adapt`; student
the pretrained network on a teacher's lesson; tune one control for each preference on the frozen pretrained network;
steer controls and network together. All of them are one loop: see `run.train_stage`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference import keys
from implicit_inference.config.fields import AdaptConfig, Config, TrainingConfig
from implicit_inference.config.identity import parents_of
from implicit_inference.network import adapt, controls
from implicit_inference.network.predictions import initial_params, predict, under_each
from implicit_inference.training.batches import Own, draw_batch, draw_from_lesson, draw_preferences, lesson
from implicit_inference.training.mixtures import log_weights, stage_tasks
from implicit_inference.training.penalties import PENALTIES
from implicit_inference.worlds import Predictor, described, world_of

Params = Any
Split = tuple[Any, Any]
"""(what trains, what stays frozen)"""


DATA = ("steps", "discrete_prob", "keep_every", "learning_rate", "warmup", "final_fraction")
"""The fields of a training that its compiled program takes as data, or does not need."""


@dataclass(frozen=True)
class Stage(ABC):
    """One stage; every function is of one seed. `parents` are the stages it needs; it starts from the first one."""

    config: Config
    training: TrainingConfig
    parents: tuple[str, ...]

    @abstractmethod
    def start(self, seed: Array, parents: tuple[Params, ...]) -> Split:
        """Splits the parameters before the first step: those that train, and those that do not."""

    @abstractmethod
    def source(self, seed: Array, parents: tuple[Params, ...]) -> Any:
        """The data that batches are drawn from, as arrays."""

    @abstractmethod
    def draw(self, seed: Array, source: Any, key: Array, own: Own) -> tuple[Any, Array]:
        """The own part of what a step is shown."""

    def merge(self, trained: Any, frozen: Any) -> Params:
        """The parameters that are kept."""
        return adapt.merge(trained, frozen)

    def predict(self, params: Params, shown: Any) -> Array:
        """Predictions to compare the targets of `draw` with."""
        return predict(self.config, params, shown)

    def control(self, family: str) -> int | None:
        """The control under which a family's validation prompts are answered, if there are any."""
        return None

    @property
    def reference(self) -> TrainingConfig:
        """The stage whose prior exact Bayes has in validation: pretraining's, where nothing else is drawn from."""
        return self.config.pretrain

    def penalty(self, frozen: Any) -> Callable[[Any, Array], Array] | None:
        """(what trains, key) -> what is added to the loss, if anything is."""
        return None

    @property
    def recipe(self) -> Hashable:
        """Stages of one recipe share their compiled programs."""
        usual = {name: getattr(TrainingConfig, name) for name in DATA}
        return replace(self, training=replace(self.training, **usual), parents=())


@dataclass(frozen=True)
class OnTasks(Stage):
    """Prompts of tasks; from fresh parameters, or from a parent's by a method."""

    adapt: AdaptConfig

    def start(self, seed: Array, parents: tuple[Params, ...]) -> Split:
        params = parents[0] if parents else initial_params(self.config, seed)
        patch = adapt.METHODS[self.adapt.method](self.adapt, params, keys.stream(seed, "patch"))
        return patch, params if parents else {}

    def source(self, seed: Array, parents: tuple[Params, ...]) -> Array:
        return log_weights(self.training.discrete_prob)

    def draw(self, seed: Array, source: Array, key: Array, own: Own) -> tuple[Any, Array]:
        tasks = stage_tasks(self.config, self.training, seed, source)
        return draw_batch(self.config, self.training, tasks, key, own)

    @property
    def reference(self) -> TrainingConfig:
        return self.training

    def penalty(self, frozen: Any) -> Callable[[Any, Array], Array] | None:
        chosen, strength = PENALTIES.get(self.training.penalty), self.training.strength
        if not chosen:
            return None
        return lambda trained, key: strength * chosen(self.config, self.merge(trained, frozen), frozen, key)


@dataclass(frozen=True)
class OnLesson(Stage):
    """The part of a lesson that its teacher answered; all parameters train."""

    def start(self, seed: Array, parents: tuple[Params, ...]) -> Split:
        return adapt.full(AdaptConfig(), parents[0], keys.stream(seed, "patch")), {}

    def source(self, seed: Array, parents: tuple[Params, ...]) -> Any:
        return lesson(self.config, seed, teacher(self.config, seed, parents[1:]))

    def draw(self, seed: Array, source: Any, key: Array, own: Own) -> tuple[Any, Array]:
        return draw_from_lesson(self.config, self.training, source, key, own)

    def predict(self, params: Params, shown: Any) -> Array:
        return predict(self.config, params, shown)[:, self.config.lesson_start :]


def teacher(config: Config, seed: Array, parents: tuple[Params, ...]) -> Predictor | None:
    """The predictor that answers the later labels of a lesson; None: the prompts' own tasks do.

    `parents`: the parameters of the fine-tuned network.
    """
    if config.lesson.teacher == "finetuned":
        return partial(predict, config, parents[0])
    if config.lesson.teacher == "bayes":
        tasks = stage_tasks(config, config.finetune, seed, log_weights(config.finetune.discrete_prob))
        return world_of(config).exact(tasks)
    return None


@dataclass(frozen=True)
class OnPreferences(Stage):
    """A batch of each preference, every one under its own control; controls train, or the network, or both."""

    trains: tuple[str, ...]

    def start(self, seed: Array, parents: tuple[Params, ...]) -> Split:
        params = parents[0]
        if "controls" not in params:
            params = {"base": params, "controls": controls.fresh(self.config, params, keys.stream(seed, "controls"))}
        return ({name: params[name] for name in self.trains}, {n: p for n, p in params.items() if n not in self.trains})

    def source(self, seed: Array, parents: tuple[Params, ...]) -> Array:
        return jnp.stack([log_weights(grade) for grade in self.config.control.grades])

    def draw(self, seed: Array, source: Array, key: Array, own: Own) -> tuple[Any, Array]:
        return draw_preferences(self.config, self.training, seed, source, key, own)

    def merge(self, trained: Any, frozen: Any) -> Params:
        return trained | frozen

    def predict(self, params: Params, shown: Any) -> Array:
        return under_each(self.config, params, shown)

    def control(self, family: str) -> int | None:
        grades = self.config.control.grades
        return grades.index(min(grades) if family == described(self.config.world).forgotten else max(grades))


CONTROLLED = {"both": ("base", "controls"), "network": ("base",)}
"""control.train -> the parts of a controlled network that train"""


def stage_of(config: Config, name: str) -> Stage:
    """The stage of this name; whose training is the configuration's section of the same name."""
    training: TrainingConfig = getattr(config, name)
    parents = parents_of(name, config)
    if name == "student":
        return OnLesson(config, training, parents)
    if name == "tune":
        return OnPreferences(config, training, parents, ("controls",))
    if name == "steer":
        return OnPreferences(config, training, parents, CONTROLLED[config.control.train])
    return OnTasks(config, training, parents, config.adapt if name == "finetune" else AdaptConfig())


def kept_shapes(config: Config, name: str) -> Params:
    """The abstract parameters that a stage keeps, of one seed."""
    stage = stage_of(config, name)

    def kept(seed: Array, parents: tuple[Params, ...]) -> Params:
        return stage.merge(*stage.start(seed, parents))

    return jax.eval_shape(kept, jnp.uint32(0), tuple(kept_shapes(config, parent) for parent in stage.parents))
