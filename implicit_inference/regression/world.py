"""The world of linear regression at work: families, prompts, exact Bayes, tokens, conjugations."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference import keys, worlds
from implicit_inference.bayes.conjugation import Conjugation
from implicit_inference.config.fields import Config, TrainingConfig
from implicit_inference.keys import Stream
from implicit_inference.regression.conjugations import ScaleInputs, ScaleLabels, ShiftLabels, rotations
from implicit_inference.regression.effective import log_evidence_ratio
from implicit_inference.regression.families.correlated import CorrelatedTasks
from implicit_inference.regression.families.features import (
    Chebyshev,
    Features,
    FeatureTasks,
    Fourier,
    Polynomial,
    ReLU,
)
from implicit_inference.regression.families.heavy_tails import student_tasks
from implicit_inference.regression.inference import sequential_evidence
from implicit_inference.regression.predictive import bayes_predictor
from implicit_inference.regression.prompts import (
    Batch,
    Predictor,
    Prompts,
    continued,
    read_predictions,
    sample_batch,
    to_tokens,
)
from implicit_inference.regression.score import SQUARED_ERROR
from implicit_inference.regression.settings import PromptsConfig, TasksConfig
from implicit_inference.regression.tasks import DiscreteTasks, GaussianTasks, Mixture, TaskDistribution


def features(tasks: TasksConfig, seed: Array | int) -> Features | None:
    """The map phi of a seed's tasks; None where phi(x) = x.

    relu(V x) with V [m, d] from N(0, 2/m): labels have the variance of linear ones.
    """
    if m := tasks.relu_features:
        directions = jax.random.normal(keys.stream(seed, Stream.FEATURES), (m, tasks.dim), jnp.float32)
        return ReLU(math.sqrt(2 / m) * directions, jnp.zeros(m, jnp.float32))
    if tasks.prior == "fourier":
        shape = (tasks.n_weights // 2, tasks.dim)
        return Fourier(jax.random.normal(keys.stream(seed, Stream.FEATURES), shape, jnp.float32))
    degree_two = {"polynomial": Polynomial, "chebyshev": Chebyshev}.get(tasks.prior)
    return degree_two(tasks.dim, 2) if degree_two else None


def weights_prior(tasks: TasksConfig) -> TaskDistribution:
    """The continuous prior over the weights of tasks [m], of which the discrete set is drawn, too."""
    n = tasks.n_weights
    mean, std = jnp.zeros(n, jnp.float32), jnp.asarray(tasks.prior_std, jnp.float32)
    if tasks.prior == "correlated":
        apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        root = np.linalg.cholesky(0.5**apart)
        return CorrelatedTasks(mean, std * jnp.asarray(root, jnp.float32))
    if tasks.prior == "student":
        return student_tasks(mean, std, 3.0)
    return GaussianTasks(mean, std if tasks.prior == "gaussian" else std / math.sqrt(n))


CHOICES = 8
"""Rotations of the inputs, of which one is chosen for each prompt and position."""


@dataclass(frozen=True)
class World(worlds.World):
    """In-context regression: a discrete set of tasks, and the continuous prior that it was drawn from."""

    tasks: TasksConfig
    prompts: PromptsConfig
    worlds: int = 0
    score = SQUARED_ERROR

    @classmethod
    def of(cls, config: Config) -> "World":
        return cls(config.tasks, config.prompts, config.worlds)

    @property
    def noise_std(self) -> Array:
        """The noise that all learners believe in, and that labels have."""
        return jnp.asarray(self.tasks.noise_std)

    def families(self, seed: Array | int) -> dict[str, TaskDistribution]:
        """The discrete set, drawn once from the continuous prior and never again; and that prior."""
        prior, ws = weights_prior(self.tasks), self.drawn(seed, Stream.DISCRETE_TASKS)
        return {name: self.on_features(seed, w) for name, w in (("discrete", DiscreteTasks(ws)), ("gaussian", prior))}

    def shown(self, seed: Array | int, training: TrainingConfig) -> TaskDistribution:
        """The discrete set itself, another one, the first tasks of either, or a narrow Gaussian."""
        prior = weights_prior(self.tasks)
        if training.tasks == "narrow":
            assert isinstance(prior, GaussianTasks)  # as `settings` has checked
            return self.on_features(seed, replace(prior, std=jnp.asarray(training.narrow_std, jnp.float32)))
        stream = {"discrete": Stream.DISCRETE_TASKS, "other": Stream.OTHER_DISCRETE_TASKS}[training.tasks]
        ws = self.drawn(seed, stream)
        return self.on_features(seed, DiscreteTasks(ws[: training.n_tasks or self.tasks.n_discrete]))

    def drawn(self, seed: Array | int, stream: Stream) -> Array:
        """The weights [n, m] of a set of tasks that a seed has."""
        return weights_prior(self.tasks).sample(keys.stream(self.home(seed), stream), self.tasks.n_discrete)

    def on_features(self, seed: Array | int, weights: TaskDistribution) -> TaskDistribution:
        phi = features(self.tasks, self.home(seed))
        return FeatureTasks(phi, weights) if phi else weights

    def mixture(self, parts: tuple[TaskDistribution, ...], log_weights: Array) -> Mixture:
        return Mixture(parts, log_weights)

    def sample(self, key: Array, tasks: TaskDistribution, n: int) -> Batch:
        return sample_batch(key, tasks, n, self.prompts.length, self.tasks.noise_std)

    def sample_between(self, seed: Array, angle: Array, n: int) -> Batch:
        """Samples n prompts of tasks turned from a discrete one to a fresh one, by `angle` right angles.

        Seeds draw both tasks of a prompt once, whatever the angle: 0 is the discrete task, 1 the fresh one.
        """
        task_key, fresh_key, prompt_key = jax.random.split(keys.stream(seed, Stream.BETWEEN), 3)
        known = self.drawn(seed, Stream.DISCRETE_TASKS)
        known = known[jax.random.randint(task_key, (n,), 0, self.tasks.n_discrete, jnp.int32)]
        fresh = weights_prior(self.tasks).sample(fresh_key, n)
        turned = jnp.cos(angle * jnp.pi / 2) * known + jnp.sin(angle * jnp.pi / 2) * fresh
        tasks = self.on_features(seed, DiscreteTasks(turned))
        return sample_batch(prompt_key, tasks, n, self.prompts.length, self.noise_std)

    def truth(self, batch: Batch) -> Array:
        return batch.clean_labels

    def labels(self, prompts: Prompts) -> Array:
        return prompts.ys

    def blank(self, key: Array, n: int) -> Batch:
        """Inputs as ever, no labels; what `continued` adds to predictions is the noise of labels."""
        input_key, noise_key = jax.random.split(key)
        shape = (n, self.prompts.length)
        xs = jax.random.normal(input_key, (*shape, self.tasks.dim), jnp.float32)
        noise = self.tasks.noise_std * jax.random.normal(noise_key, shape, jnp.float32)
        return Batch(Prompts(xs, noise), jnp.zeros((n, 0)), jnp.zeros(n, jnp.int32), jnp.zeros(shape, jnp.float32))

    def continued(self, predictor: Predictor, batch: Batch, start: int) -> Prompts:
        """The predictor answers, one label after the other, with the noise that the batch's labels have."""
        return continued(predictor, batch.prompts, start, batch.prompts.ys - batch.clean_labels)

    def exact(self, tasks: TaskDistribution) -> Predictor:
        return bayes_predictor(tasks, self.noise_std)

    def evidence(self, tasks: TaskDistribution, prompts: Prompts) -> Array:
        return sequential_evidence(tasks, prompts, self.noise_std)

    def log_odds(self, first: TaskDistribution, second: TaskDistribution, prompts: Prompts) -> Array:
        return log_evidence_ratio(first, second, prompts, self.noise_std)

    def tokens(self, prompts: Prompts) -> Array:
        return to_tokens(self.prompts.tokens, prompts)

    def read(self, outputs: Array) -> Array:
        return read_predictions(self.prompts.tokens, outputs[..., 0])

    def conjugation(self, seed: Array | int, move: str, strength: Array | float | None) -> Conjugation:
        """Labels or inputs scaled, a shift of the length `strength` in a direction of the seed, a rotation of it."""
        return MOVES[move](self.tasks.dim, seed, strength)

    def choices(self, seed: Array | int) -> tuple[Conjugation, ...]:
        """Random rotations of the inputs, reflections among them."""
        return rotations(keys.stream(seed, Stream.ROTATION_CHOICE), self.tasks.dim, CHOICES)


def _shift(dim: int, seed: Array | int, length: Array | float) -> Conjugation:
    direction = jax.random.normal(keys.stream(seed, Stream.SHIFT), (dim,), jnp.float32)
    return ShiftLabels(length * direction / jnp.linalg.norm(direction))


MOVES: dict[str, Callable[..., Conjugation]] = {
    "label_scale": lambda dim, seed, strength: ScaleLabels(jnp.asarray(strength)),
    "input_scale": lambda dim, seed, strength: ScaleInputs(jnp.asarray(strength)),
    "label_shift": _shift,
    "rotation": lambda dim, seed, strength: rotations(keys.stream(seed, Stream.ROTATION), dim, 1)[0],
}
"""conjugation -> (number of inputs, seed, strength) -> the conjugation that a probe measures"""
