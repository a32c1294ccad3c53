"""Draws the batches of a training step: prompts of tasks, of every preference, or of a teacher's lesson."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference import keys
from implicit_inference.config.fields import FAMILIES, Config, TrainingConfig
from implicit_inference.regression.continuations import continued
from implicit_inference.regression.inference import sequential_evidence
from implicit_inference.regression.predictive import bayes_predictor
from implicit_inference.regression.prompts import Predictor, Prompts, sample_batch
from implicit_inference.regression.tasks import TaskDistribution
from implicit_inference.regression.world import draw_tasks, prior

Own = Callable[[Any], Any]
"""A batch -> the part of it that is worked on here."""


def whole(batch: Any) -> Any:
    """All of it."""
    return batch


def draw_batch(
    config: Config, training: TrainingConfig, tasks: TaskDistribution, key: Array, own: Own = whole
) -> tuple[Prompts, Array]:
    """Prompts of `tasks` and what the network shall learn to say about them: (prompts, targets [batch, K])."""
    batch = own(sample_batch(key, tasks, training.batch, config.prompts.length, config.tasks.noise_std))
    if training.target == "bayes":
        return batch.prompts, bayes_predictor(tasks, config.tasks.noise_std)(batch.prompts)
    return batch.prompts, batch.clean_labels if training.target == "truth" else batch.prompts.ys


def draw_preferences(
    config: Config, training: TrainingConfig, seed: Array, log_weights: Array, key: Array, own: Own = whole
) -> tuple[Prompts, Array]:
    """A batch of each preference, the mixture with log weights [P, 2]: (prompts, targets), [batch, P, K]."""

    def one(key: Array, weights: Array) -> tuple[Prompts, Array]:
        return draw_batch(config, training, prior(config, seed, weights), key, own)

    return jax.vmap(one, out_axes=1)(jax.random.split(key, len(log_weights)), log_weights)


AT_ONCE = 4096
"""Prompts that a teacher answers at once: what bounds the memory of a lesson."""


def closeness(config: Config, seed: Array | int, prompts: Prompts) -> Array:
    """The log evidence of whole prompts [...] under the discrete set less that under the Gaussian family."""
    families = draw_tasks(config, seed)
    discrete, gaussian = (sequential_evidence(families[f], prompts, config.tasks.noise_std)[..., -1] for f in FAMILIES)
    return discrete - gaussian


def lesson(config: Config, seed: Array | int, teacher: Predictor | None) -> Prompts:
    """A seed's lesson: prompts of the Gaussian family, continued by the teacher, [N, K].

    The labels from `lesson_start` on are the teacher's predictions, each from what it has answered before, plus label
    noise; without a teacher, the task's own. Of all candidates the farthest from the discrete set are kept.
    """
    wanted = config.lesson
    n = math.ceil(wanted.prompts / wanted.farthest)
    gaussian = draw_tasks(config, seed)["gaussian"]
    batch = sample_batch(keys.stream(seed, "lesson"), gaussian, n, config.prompts.length, config.tasks.noise_std)

    def shown(one: tuple[Prompts, Array]) -> tuple[Prompts, Array]:
        prompts, noise = one
        if teacher:
            prompts = continued(teacher, prompts, config.lesson_start, noise)
        return prompts, closeness(config, seed, prompts)

    one_by_one = (batch.prompts, batch.prompts.ys - batch.clean_labels)
    prompts, how_close = jax.lax.map(shown, one_by_one, batch_size=AT_ONCE)
    kept = jnp.argsort(how_close)[: wanted.prompts]
    return jax.tree.map(lambda leaf: leaf[kept], prompts)


def draw_from_lesson(
    config: Config, training: TrainingConfig, shown: Prompts, key: Array, own: Own = whole
) -> tuple[Prompts, Array]:
    """Prompts of a lesson, with replacement, and the labels that its teacher answered: [batch, K - lesson_start]."""
    chosen = own(jax.random.randint(key, (training.batch,), 0, len(shown.ys), jnp.int32))
    prompts = jax.tree.map(lambda leaf: leaf[chosen], shown)
    return prompts, prompts.ys[:, config.lesson_start :]
