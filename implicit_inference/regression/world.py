"""The tasks and prompts of a configuration: its families, the sets that fine-tuning shows, held-out prompts."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference import keys
from implicit_inference.config.fields import Config, TrainingConfig
from implicit_inference.regression.families.features import Features, FeatureTasks, ReLU
from implicit_inference.regression.prompts import Batch, sample_batch
from implicit_inference.regression.tasks import DiscreteTasks, GaussianTasks, Mixture, TaskDistribution


def features(config: Config, seed: Array | int) -> Features | None:
    """relu(V x) with V [m, d] from N(0, 2/m): labels have the variance of linear ones. None for linear tasks."""
    m, d = config.tasks.relu_features, config.tasks.dim
    if not m:
        return None
    directions = jax.random.normal(keys.stream(seed, "features"), (m, d), jnp.float32)
    return ReLU(math.sqrt(2 / m) * directions, jnp.zeros(m, jnp.float32))


def weights_prior(config: Config) -> GaussianTasks:
    """The Gaussian over the weights of tasks, as many as there are inputs or features."""
    size = config.tasks.relu_features or config.tasks.dim
    return GaussianTasks(jnp.zeros(size, jnp.float32), jnp.asarray(config.tasks.prior_std, jnp.float32))


def as_tasks(config: Config, seed: Array | int, weights: TaskDistribution) -> TaskDistribution:
    """The tasks with these weights: on the seed's features, if it has any, or linear."""
    phi = features(config, seed)
    return FeatureTasks(phi, weights) if phi else weights


def draw_tasks(config: Config, seed: Array | int) -> dict[str, TaskDistribution]:
    """The two families of a seed's world; the discrete set is drawn once from the Gaussian and never again."""
    gaussian = weights_prior(config)
    ws = gaussian.sample(keys.stream(seed, "discrete tasks"), config.tasks.n_discrete)
    return {name: as_tasks(config, seed, w) for name, w in (("discrete", DiscreteTasks(ws)), ("gaussian", gaussian))}


def shown_set(config: Config, training: TrainingConfig, seed: Array | int) -> TaskDistribution:
    """The tasks that stand for the discrete set in a stage: itself, another, the first of either, a narrow Gaussian."""
    gaussian = weights_prior(config)
    if training.tasks == "narrow":
        return as_tasks(config, seed, replace(gaussian, std=jnp.asarray(training.narrow_std, jnp.float32)))
    stream = {"discrete": "discrete tasks", "other": "other discrete tasks"}[training.tasks]
    ws = gaussian.sample(keys.stream(seed, stream), config.tasks.n_discrete)
    return as_tasks(config, seed, DiscreteTasks(ws[: training.n_tasks or config.tasks.n_discrete]))


def log_weights(first: float) -> Array:
    """The log weights [2] of a part with probability `first` and of the rest; 0, 1 and values next to them allowed."""
    return jnp.array([math.log(p) if p else -math.inf for p in (first, 1 - first)], jnp.float32)


def prior(config: Config, seed: Array | int, log_weights: Array) -> Mixture:
    """The mixture of a seed's two families with these log weights [2]."""
    return Mixture(tuple(draw_tasks(config, seed).values()), log_weights)


def stage_tasks(config: Config, training: TrainingConfig, seed: Array | int, weights: Array) -> Mixture:
    """The tasks of a stage: its set and the Gaussian family with log `weights` [2], and what it replays."""
    own = Mixture((shown_set(config, training, seed), draw_tasks(config, seed)["gaussian"]), weights)
    if not training.replay:
        return own
    pretraining = prior(config, seed, log_weights(config.pretrain.discrete_prob))
    return Mixture((pretraining, own), log_weights(training.replay))


def family(config: Config, seed: Array | int, name: str) -> TaskDistribution:
    """A family by its name: discrete, gaussian, or finetuning, the set that fine-tuning shows."""
    return shown_set(config, config.finetune, seed) if name == "finetuning" else draw_tasks(config, seed)[name]


def held_out(config: Config, seed: Array | int, stream: str, name: str, n: int) -> Batch:
    """n prompts of one family from a stream that training never uses."""
    key = keys.stream(seed, f"{stream} {name}")
    return sample_batch(key, family(config, seed, name), n, config.prompts.length, config.tasks.noise_std)
