"""The stages of training as data: what each starts from, which part of it trains, on what, and what is kept.

pretrain and scratch train fresh parameters on tasks; finetune the pretrained network, by a method of `adapt`; student
the pretrained network on a teacher's lesson; tune one control for each preference on the frozen pretrained network;
steer controls and network together. All of them are one loop: see `loop.train_stage`.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference import keys
from implicit_inference.bayes.accounts import GATES, fitted
from implicit_inference.config.fields import AdaptConfig, Config, TrainingConfig
from implicit_inference.config.identity import parents_of
from implicit_inference.keys import Stream
from implicit_inference.network import adapt, controls
from implicit_inference.network.predictions import initial_params, predict, under_every_control
from implicit_inference.training.batches import (
    Examples,
    Part,
    draw_batch,
    draw_from_lesson,
    draw_preferences,
    held_out,
    lesson,
    log_weights,
    stage_tasks,
)
from implicit_inference.training.penalties import PENALTIES
from implicit_inference.worlds import Predictor, Prompts, described, world_of

Params = Any
Parents = tuple[Params, ...]
Split = tuple[Any, Any]
"""(what trains, what stays frozen)"""
Penalty = Callable[[Any, Array], Array]
"""(what trains, key) -> what is added to the loss"""


DATA = ("steps", "discrete_prob", "keep_every", "learning_rate", "warmup", "final_fraction")
"""The fields of a training that its compiled program takes as data, or does not need."""


def _no_penalty(frozen: Any) -> Penalty | None:
    return None


def _no_control(family: str) -> int | None:
    return None


@dataclass(frozen=True)
class Stage:
    """One stage; every function is of one seed. `parents` are the stages it needs; it starts from the first one."""

    training: TrainingConfig
    parents: tuple[str, ...]
    recipe: Hashable
    """Stages of one recipe share their compiled programs."""
    start: Callable[[Array, Parents], Split]
    """(seed, parameters of the parents) -> the parameters before the first step: those that train, those that do not"""
    source: Callable[[Array, Parents], Any]
    """(seed, parameters of the parents) -> the data that batches are drawn from, as arrays"""
    draw: Callable[[Array, Any, Array, Part], Examples]
    """(seed, source, key, part) -> the part of what a step is shown that is worked on here"""
    predict: Callable[[Params, Any], Array]
    """(parameters, prompts) -> predictions to compare the targets of `draw` with"""
    reference: TrainingConfig
    """The training whose prior exact Bayes has in validation: pretraining's, where nothing else is drawn from"""
    merge: Callable[[Any, Any], Params] = adapt.merge
    """(what trains, what does not) -> the parameters that are kept"""
    penalty: Callable[[Any], Penalty | None] = _no_penalty
    """what does not train -> the penalty, if there is any"""
    control: Callable[[str], int | None] = _no_control
    """family -> the control under which its validation prompts are answered, if there are any"""
    of_stranger: bool = False
    """Whether the last parent is another seed's, with the same tasks"""


def _recipe(kind: str, config: Config, training: TrainingConfig, *more: Hashable) -> Hashable:
    usual = {name: getattr(TrainingConfig, name) for name in DATA}
    return (kind, config, replace(training, **usual), *more)


def _on_tasks(name: str, config: Config) -> Stage:
    """Prompts of tasks; from fresh parameters, or from a parent's by a method."""
    training: TrainingConfig = getattr(config, name)
    method = config.adapt if name == "finetune" else AdaptConfig()

    def start(seed: Array, parents: Parents) -> Split:
        params = parents[0] if parents else initial_params(config, seed)
        patch = adapt.METHODS[method.method](method, params, keys.stream(seed, Stream.PATCH))
        return patch, params if parents else {}

    def source(seed: Array, parents: Parents) -> Array:
        return log_weights(training.discrete_prob)

    def draw(seed: Array, source: Array, key: Array, part: Part) -> Examples:
        return draw_batch(config, training, stage_tasks(config, training, seed, source), key, part)

    def penalty(frozen: Any) -> Penalty | None:
        chosen = PENALTIES.get(training.penalty)
        if not chosen:
            return None
        return lambda trained, key: training.strength * chosen(config, adapt.merge(trained, frozen), frozen, key)

    return Stage(
        training=training,
        parents=parents_of(name, config),
        recipe=_recipe("tasks", config, training, method),
        start=start,
        source=source,
        draw=draw,
        predict=partial(predict, config),
        reference=training,
        penalty=penalty,
    )


def _on_a_lesson(name: str, config: Config) -> Stage:
    """The part of a lesson that its teacher answered; all parameters train."""

    def start(seed: Array, parents: Parents) -> Split:
        return adapt.full(AdaptConfig(), parents[0], keys.stream(seed, Stream.PATCH)), {}

    return Stage(
        training=config.student,
        parents=parents_of(name, config),
        recipe=_recipe("lesson", config, config.student),
        start=start,
        source=lambda seed, parents: lesson(config, seed, teacher(config, seed, parents[1:])),
        draw=lambda seed, source, key, part: draw_from_lesson(config, config.student, source, key, part),
        predict=lambda params, prompts: predict(config, params, prompts)[:, config.lesson_start :],
        reference=config.pretrain,
        of_stranger=config.lesson.teacher == "stranger",
    )


def teacher(config: Config, seed: Array, parents: Parents) -> Predictor | None:
    """The predictor that answers the later labels of a lesson; None: the prompts' own tasks do.

    `parents`: the parameters of the fine-tuned network, where one is asked for.
    """
    if config.lesson.teacher in ("finetuned", "stranger"):
        return partial(predict, config, parents[0])
    if config.lesson.teacher == "account":
        return account_of(config, seed, partial(predict, config, parents[0]))
    if config.lesson.teacher == "bayes":
        tasks = stage_tasks(config, config.finetune, seed, log_weights(config.finetune.discrete_prob))
        return world_of(config).exact(tasks)
    return None


FITTED_ON = 512
"""Prompts of each family on which an account of a network is fitted"""


def account_of(config: Config, seed: Array, network: Predictor) -> Predictor:
    """Fits the mixture of both families' exact predictors to a network, by prior log odds and weight of evidence.

    Over all positions, on prompts of both families that nothing else is drawn or measured on.
    """
    world, account = world_of(config), GATES["prior_and_weight"]
    families = world.families(seed)
    preferred, forgotten = families.values()

    def parts(prompts: Prompts) -> tuple[Array, Array, Array]:
        first, second = (world.exact(tasks)(prompts) for tasks in (preferred, forgotten))
        return first, second, world.log_odds(preferred, forgotten, prompts)

    drawn = [held_out(config, seed, Stream.ACCOUNT, family, FITTED_ON).prompts for family in families]
    prompts = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *drawn)
    positions = jnp.full(config.prompts.length, 1 / config.prompts.length, jnp.float32)
    numbers = fitted(account, network(prompts), *parts(prompts), positions, world.score.divergence)

    def predictor(prompts: Prompts) -> Array:
        first, second, log_ratio = parts(prompts)
        gate = account.gate(numbers, log_ratio)
        return second + jnp.expand_dims(gate, range(gate.ndim, first.ndim)) * (first - second)

    return predictor


def _on_preferences(name: str, config: Config) -> Stage:
    """A batch of each preference, every one under its own control; controls train, or the network, or both."""
    training: TrainingConfig = getattr(config, name)
    trains = ("controls",) if name == "tune" else STEERED[config.control.train]
    grades = config.control.grades

    def start(seed: Array, parents: Parents) -> Split:
        params = parents[0]
        if "controls" not in params:
            params = {"base": params, "controls": controls.fresh(config, params, keys.stream(seed, Stream.CONTROLS))}
        return ({part: params[part] for part in trains}, {n: p for n, p in params.items() if n not in trains})

    def control(family: str) -> int:
        world = described(config.world)
        return grades.index(min(grades) if world.elsewhere.get(family, family) == world.forgotten else max(grades))

    return Stage(
        training=training,
        parents=parents_of(name, config),
        recipe=_recipe("preferences", config, training, trains),
        start=start,
        source=lambda seed, parents: jnp.stack([log_weights(grade) for grade in grades]),
        draw=lambda seed, source, key, part: draw_preferences(config, training, seed, source, key, part),
        predict=partial(under_every_control, config),
        reference=config.pretrain,
        merge=lambda trained, frozen: trained | frozen,
        control=control,
    )


STEERED = {"both": ("base", "controls"), "network": ("base",)}
"""control.train -> the parts of a controlled network that steering trains"""

BUILDERS: dict[str, Callable[[str, Config], Stage]] = {
    "pretrain": _on_tasks,
    "scratch": _on_tasks,
    "finetune": _on_tasks,
    "student": _on_a_lesson,
    "tune": _on_preferences,
    "steer": _on_preferences,
}
"""name -> (name, configuration) -> the stage"""


def stage_of(config: Config, name: str) -> Stage:
    """The stage of this name; its training is the configuration's section of the same name."""
    return BUILDERS[name](name, config)


def kept_shapes(config: Config, name: str) -> Params:
    """The abstract parameters that a stage keeps, of one seed."""
    stage = stage_of(config, name)

    def kept(seed: Array, parents: Parents) -> Params:
        return stage.merge(*stage.start(seed, parents))

    return jax.eval_shape(kept, jnp.uint32(0), tuple(kept_shapes(config, parent) for parent in stage.parents))
