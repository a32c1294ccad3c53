"""Draws prompts, of any world: held-out ones, and the batches of a step, of tasks, preferences or a lesson."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference import keys
from implicit_inference.config.fields import Config, TrainingConfig
from implicit_inference.keys import Stream
from implicit_inference.worlds import Predictor, Prompts, Tasks, described, world_of


def log_weights(first: float) -> Array:
    """The log weights [2] of a part with probability `first` and of the rest; 0, 1 and values next to them allowed."""
    return jnp.array([math.log(p) if p else -math.inf for p in (first, 1 - first)], jnp.float32)


def prior(config: Config, seed: Array | int, log_weights: Array) -> Tasks:
    """The mixture of a seed's two families with these log weights [2], the preferred one first."""
    world = world_of(config)
    return world.mixture(tuple(world.families(seed).values()), log_weights)


def stage_tasks(config: Config, training: TrainingConfig, seed: Array | int, weights: Array) -> Tasks:
    """The tasks of a stage: what it shows and the forgotten family with log `weights` [2], and what it replays."""
    world = world_of(config)
    forgotten = world.families(seed)[described(config.world).forgotten]
    tasks = world.mixture((world.shown(seed, training), forgotten), weights)
    if not training.replay:
        return tasks
    pretraining = prior(config, seed, log_weights(config.pretrain.discrete_prob))
    return world.mixture((pretraining, tasks), log_weights(training.replay))


def family(config: Config, seed: Array | int, name: str) -> Tasks:
    """The tasks of a family of held-out prompts; those of `finetuning` are what fine-tuning shows."""
    world = world_of(config)
    return world.shown(seed, config.finetune) if name == "finetuning" else world.measured(seed, name)


def held_out(config: Config, seed: Array | int, stream: Stream, name: str, n: int) -> Any:
    """A batch of n prompts of one family, from a stream that no step of training is drawn from."""
    return world_of(config).sample(keys.stream(seed, stream, name), family(config, seed, name), n)


Part = Callable[[Any], Any]
"""A batch -> the part of it that is worked on here."""


Examples = tuple[Prompts, Array]
"""(prompts, targets [batch, K, *event])"""


def whole(batch: Any) -> Any:
    """All of it."""
    return batch


def draw_batch(config: Config, training: TrainingConfig, tasks: Tasks, key: Array, part: Part = whole) -> Examples:
    """Prompts of `tasks`, and what the network shall learn to say about them."""
    world = world_of(config)
    batch = part(world.sample(key, tasks, training.batch))
    targets = {
        "label": lambda: world.labels(batch.prompts),
        "truth": lambda: world.truth(batch),
        "bayes": lambda: world.exact(tasks)(batch.prompts),
    }
    return batch.prompts, targets[training.target]()


def draw_preferences(
    config: Config, training: TrainingConfig, seed: Array, log_weights: Array, key: Array, part: Part = whole
) -> Examples:
    """A batch of each preference, the mixture with log weights [P, 2]: (prompts, targets), [batch, P, ...]."""

    def of_preference(key: Array, weights: Array) -> Examples:
        return draw_batch(config, training, prior(config, seed, weights), key, part)

    return jax.vmap(of_preference, out_axes=1)(jax.random.split(key, len(log_weights)), log_weights)


AT_ONCE = 4096
"""Prompts that a teacher answers at once: what bounds the memory of a lesson."""


def closeness(config: Config, seed: Array | int, prompts: Prompts) -> Array:
    """The log evidence of whole prompts [...] under the preferred family less that under the forgotten one."""
    world = world_of(config)
    preferred, forgotten = (world.evidence(tasks, prompts)[..., -1] for tasks in world.families(seed).values())
    return preferred - forgotten


def lesson(config: Config, seed: Array | int, teacher: Predictor | None) -> Prompts:
    """A seed's lesson: prompts of the forgotten family, continued by the teacher, [N, K].

    The labels from `lesson_start` on are drawn from the teacher's predictions, each from what it has answered before;
    without a teacher, they are the task's own. Of all candidates the farthest from the preferred family are kept.
    """
    world, wanted = world_of(config), config.lesson
    n = math.ceil(wanted.prompts / wanted.farthest)
    forgotten = world.measured(seed, described(config.world).forgotten)
    batch = world.sample(keys.stream(seed, Stream.LESSON), forgotten, n)

    def answered(batch: Any) -> tuple[Prompts, Array]:
        prompts = world.continued(teacher, batch, config.lesson_start) if teacher else batch.prompts
        return prompts, closeness(config, seed, prompts)

    prompts, how_close = jax.lax.map(answered, batch, batch_size=AT_ONCE)
    kept = jnp.argsort(how_close)[: wanted.prompts]
    return jax.tree.map(lambda leaf: leaf[kept], prompts)


def draw_from_lesson(
    config: Config, training: TrainingConfig, prompts: Prompts, key: Array, part: Part = whole
) -> Examples:
    """Prompts of a lesson, with replacement, and the labels that its teacher answered: [batch, K - lesson_start]."""
    size = len(jax.tree.leaves(prompts)[0])
    chosen = part(jax.random.randint(key, (training.batch,), 0, size, jnp.int32))
    prompts = jax.tree.map(lambda leaf: leaf[chosen], prompts)
    return prompts, world_of(config).labels(prompts)[:, config.lesson_start :]
