"""The world of loaded coins at work. Prompts are throws [..., K]; predictions are probabilities [..., K, C]."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from coin.settings import PromptsConfig, TasksConfig
from implicit_inference import keys, worlds
from implicit_inference.bayes import mixtures
from implicit_inference.bayes.mixtures import Predictive
from implicit_inference.bayes.precision import in_float64
from implicit_inference.pytrees import pytree

LEAST = 1e-30


def numbers(of):
    """The array module of an array: NumPy's, or JAX's."""
    return np if isinstance(of, np.ndarray) else jnp


def cross_entropy(predictions, targets):
    np_ = numbers(predictions)
    return -np_.sum(targets * np_.log(np_.maximum(predictions, LEAST)), axis=-1)


def divergence(means, predictions):
    return cross_entropy(predictions, means) - cross_entropy(means, means)


def flattened(predictions, truth):
    """The best mixture of the predictions with the uniform distribution, on a grid."""
    shares = np.linspace(0, 1, 21)

    def towards(share):
        return lambda f: (1 - share) * f + share / f.shape[-1]

    return towards(min(shares, key=lambda share: cross_entropy(towards(share)(predictions), truth).mean()))


class Batch(NamedTuple):
    """Throws [n, K] of coins with probabilities [n, C], and the uniform numbers [n, K] that decide a throw."""

    prompts: Array
    coins: Array
    chance: Array


def thrown(probabilities, chance):
    """The face that a uniform number stands for, by the cumulated probabilities [..., C]."""
    below = jnp.cumsum(probabilities, axis=-1)[..., :-1] < chance[..., None]
    return jnp.sum(below, axis=-1, dtype=jnp.int32)


@pytree
class Known:
    """One of the coins [n, C]."""

    coins: Array

    def draw(self, key, n):
        return self.coins[jax.random.randint(key, (n,), 0, len(self.coins), jnp.int32)]

    def ahead(self, seen):
        log_prior = jnp.zeros(len(self.coins))
        by_coin = jax.vmap(lambda coin: Predictive(jnp.broadcast_to(coin, seen.shape), jnp.log(seen @ coin)))(
            self.coins
        )
        return mixtures.all_joined(mixtures.parts(log_prior, by_coin)).predictive


@pytree
class Fresh:
    """A coin from the uniform Dirichlet over C faces: Laplace's rule of succession."""

    ones: Array

    def draw(self, key, n):
        drawn = -jnp.log1p(-jax.random.uniform(key, (n, len(self.ones)), jnp.float32))
        return drawn / jnp.sum(drawn, axis=-1, keepdims=True)

    def ahead(self, seen):
        counts = jnp.cumsum(seen, axis=-2) - seen + self.ones.reshape((1,) * (seen.ndim - 1) + self.ones.shape)
        mean = counts / jnp.sum(counts, axis=-1, keepdims=True)
        return Predictive(mean, jnp.log(jnp.sum(seen * mean, axis=-1)))


@pytree
class Mixed:
    """A mixture of coins."""

    parts: tuple
    log_weights: Array

    def draw(self, key, n):
        pick, *own = jax.random.split(key, 1 + len(self.parts))
        index = jax.random.categorical(pick, self.log_weights, shape=(n,), mode="low")
        return jnp.stack([part.draw(k, n) for part, k in zip(self.parts, own, strict=True)])[index, jnp.arange(n)]

    def ahead(self, seen):
        return mixtures.all_joined(self.joined(seen)).predictive

    def joined(self, seen):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(part.ahead(seen) for part in self.parts))
        return mixtures.parts(jnp.maximum(self.log_weights, mixtures.NEVER), stacked)


@pytree
class Turn:
    """y -> y + by mod C."""

    by: Array
    faces: Array

    def apply(self, prompts):
        return (prompts + self.by) % len(self.faces)

    def undo(self, predictions, prompts):
        return jnp.roll(predictions, -self.by, axis=-1)

    def inverse(self):
        return Turn(-self.by, self.faces)


@in_float64
def ahead(tasks, seen):
    return tasks.ahead(seen)


@in_float64
def log_odds(mixed, seen):
    return mixtures.log_odds(mixed.joined(seen))[..., 0]


@dataclass(frozen=True)
class World(worlds.World):
    """Loaded coins."""

    tasks: TasksConfig
    prompts: PromptsConfig
    score = worlds.Score(loss=cross_entropy, divergence=divergence, shrink=flattened)
    worlds: int = 0

    @classmethod
    def of(cls, config):
        return cls(config.tasks, config.prompts, config.worlds)

    def families(self, seed):
        fresh = Fresh(jnp.ones(self.tasks.faces, jnp.float32))
        return {"known": Known(fresh.draw(keys.stream(self.home(seed), "coins"), self.tasks.n_known)), "fresh": fresh}

    def shown(self, seed, training):
        return self.families(seed)["known"]

    def mixture(self, parts, log_weights):
        return Mixed(parts, log_weights)

    def sample(self, key, tasks, n):
        coin_key, throw_key = jax.random.split(key)
        coins = tasks.draw(coin_key, n)
        chance = jax.random.uniform(throw_key, (n, self.prompts.length), jnp.float32)
        return Batch(thrown(coins[:, None], chance), coins, chance)

    def truth(self, batch):
        return jnp.broadcast_to(batch.coins[..., None, :], (*batch.prompts.shape, self.tasks.faces))

    def labels(self, prompts):
        return jax.nn.one_hot(prompts, self.tasks.faces, dtype=jnp.float32)

    def blank(self, key, n):
        chance = jax.random.uniform(key, (n, self.prompts.length), jnp.float32)
        return Batch(jnp.zeros(chance.shape, jnp.int32), jnp.zeros((n, self.tasks.faces)), chance)

    def continued(self, predictor, batch, start):
        def throw(k, prompts):
            return prompts.at[..., k].set(thrown(predictor(prompts), batch.chance)[..., k])

        return jax.lax.fori_loop(start, self.prompts.length, throw, batch.prompts)

    def answer(self, tasks, prompts):
        return ahead(tasks, self.labels(prompts)).mean

    def exact(self, tasks):
        return jax.tree_util.Partial(self.answer, tasks)

    def evidence(self, tasks, prompts):
        log_density = ahead(tasks, self.labels(prompts)).log_density
        return jnp.pad(jnp.cumsum(log_density, axis=-1), [(0, 0)] * (log_density.ndim - 1) + [(1, 0)])

    def log_odds(self, first, second, prompts):
        return log_odds(Mixed((first, second), jnp.zeros(2)), self.labels(prompts))

    def tokens(self, prompts):
        seen = self.labels(prompts)
        return jnp.concatenate([jnp.zeros_like(seen[..., :1, :]), seen[..., :-1, :]], axis=-2)

    def read(self, outputs):
        return jax.nn.softmax(outputs, axis=-1)

    def conjugation(self, seed, move, strength):
        return Turn(jnp.asarray(strength - 1, jnp.int32), jnp.zeros(self.tasks.faces))
