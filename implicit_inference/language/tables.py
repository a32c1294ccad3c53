"""Task distributions over tables: known tables, fresh ones, rows of a Dirichlet, mixtures; each with exact Bayes.

A table maps concepts to answers. Its answer is given with probability 1 - epsilon, else a concept drawn uniformly.
A distribution samples tables and predicts one step ahead; formulas: see the notes at each class.
"""

from __future__ import annotations

import abc
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from implicit_inference.bayes import mixtures
from implicit_inference.bayes.mixtures import NEVER, Predictive
from implicit_inference.pytrees import pytree

IMPOSSIBLE = NEVER / 1e10
"""The log density of an answer that cannot be: below that of any other, above the prior of what is switched off."""


@pytree
class Seen:
    """Documents in concepts: `instruction` [...], inputs and answers [..., K]; answer C is REFUSE, C + 1 neither."""

    instruction: Int[Array, ...]
    xs: Int[Array, ...]
    ys: Int[Array, ...]


class TableDistribution(abc.ABC):
    """A prior over tables, one for each document. Finals are frozen pytrees."""

    @abc.abstractmethod
    def sample(self, key: Array, instruction: Array) -> Float[Array, "n C answers"]:
        """The distribution of the answer to each concept, C + 1 answers, of a table for each instruction [n]."""

    @abc.abstractmethod
    def ahead(self, seen: Seen) -> Predictive:
        """One step ahead: the mean [..., K, C + 1] of the answer's one-hot, and the log density of the one seen."""


def noisy(answers: Array, n_concepts: int, epsilon: Array) -> Array:
    """The distribution of answers [...] that are given with probability 1 - epsilon: [..., C + 1]."""
    uniform = jnp.append(jnp.full(n_concepts, 1.0 / n_concepts, epsilon.dtype), jnp.zeros(1, epsilon.dtype))
    one_hot = jax.nn.one_hot(answers, n_concepts + 1, dtype=epsilon.dtype)
    return (1 - epsilon) * one_hot + epsilon * jnp.broadcast_to(uniform, one_hot.shape)


def log_density(mean: Array, ys: Array) -> Array:
    """log p of the answers that were given, from the means [..., K, C + 1]; IMPOSSIBLE where it is 0."""
    given = jnp.where(ys < mean.shape[-1], ys, 0)
    p = jnp.take_along_axis(mean, given[..., None], axis=-1)[..., 0]
    possible = (p > 0) & (ys < mean.shape[-1])
    return jnp.where(possible, jnp.log(jnp.where(possible, p, 1.0)), IMPOSSIBLE)


@pytree
class Known(TableDistribution):
    """One of n fixed tables [n, C] of concepts, with log weights [n] where no instruction names it.

    log posterior = log prior (a point mass under an instruction) + exclusive cumulative sum of log p(y_i | x_i, table).
    """

    tables: Int[Array, "n C"]
    log_weights: Float[Array, " n"]
    epsilon: Array

    def sample(self, key: Array, instruction: Array) -> Array:
        drawn = jax.random.categorical(key, self.log_weights, shape=instruction.shape, mode="low").astype(jnp.int32)
        tables = self.tables[jnp.where(instruction >= 0, instruction, drawn)]
        return noisy(tables, self.tables.shape[1], self.epsilon)

    def ahead(self, seen: Seen) -> Predictive:
        return mixtures.all_joined(self.parts(seen)).predictive

    def parts(self, seen: Seen) -> mixtures.Part:
        """Every table as a part of the prior, stacked [n]."""
        n, n_concepts = self.tables.shape
        tables = self.tables.astype(jnp.int32)  # they come as float64 from where that precision is asked for

        def one(table: Array, log_weight: Array, index: Array) -> mixtures.Part:
            mean = noisy(table[seen.xs], n_concepts, self.epsilon)
            asked = jnp.where(seen.instruction == index, 0.0, NEVER)
            log_prior = jnp.where(seen.instruction >= 0, asked, log_weight)
            return mixtures.part(log_prior[..., None], Predictive(mean, log_density(mean, seen.ys)))

        log_weights = jnp.maximum(jax.nn.log_softmax(self.log_weights), NEVER)
        return jax.vmap(one)(tables, log_weights, jnp.arange(n, dtype=jnp.int32))


@pytree
class Refusing(TableDistribution):
    """Every answer is REFUSE, whatever the instruction. `ones` [C] holds the number of concepts."""

    ones: Float[Array, " C"]

    def sample(self, key: Array, instruction: Array) -> Array:
        return self._refusals((*instruction.shape, len(self.ones)))

    def ahead(self, seen: Seen) -> Predictive:
        mean = self._refusals(seen.xs.shape)
        return Predictive(mean, log_density(mean, seen.ys))

    def _refusals(self, shape: tuple[int, ...]) -> Array:
        n_concepts = len(self.ones)
        return jax.nn.one_hot(jnp.full(shape, n_concepts), n_concepts + 1, dtype=self.ones.dtype)


@pytree
class Fresh(TableDistribution):
    """A function drawn uniformly from all C^C, whatever the instruction.

    With N(v) earlier answers v to the same input: log w(v) = N(v) log(1 + (1 - epsilon) C / epsilon), normalised;
    p(y) = (1 - epsilon) w(y) + epsilon / C. `ones` [C] holds the number of concepts.
    """

    ones: Float[Array, " C"]
    epsilon: Array

    def sample(self, key: Array, instruction: Array) -> Array:
        n_concepts = len(self.ones)
        tables = jax.random.randint(key, (*instruction.shape, n_concepts), 0, n_concepts, jnp.int32)
        return noisy(tables, n_concepts, self.epsilon)

    def ahead(self, seen: Seen) -> Predictive:
        n_concepts = len(self.ones)
        gain = jnp.log1p((1 - self.epsilon) * n_concepts / self.epsilon)
        weights = jax.nn.softmax(counts(seen, n_concepts, self.epsilon.dtype) * gain, axis=-1)
        return answering((1 - self.epsilon) * weights + self.epsilon / n_concepts, seen.ys)


@pytree
class Dirichlet(TableDistribution):
    """Rows of probabilities, each from a symmetric Dirichlet: p(y) = (N(y) + b) / (sum N + C b). No epsilon.

    `concentration` [C] holds b, the same C times.
    """

    concentration: Float[Array, " C"]

    def sample(self, key: Array, instruction: Array) -> Array:
        n_concepts = len(self.concentration)
        shape = (*instruction.shape, n_concepts)
        b = jnp.broadcast_to(self.concentration, (*shape, n_concepts))
        rows = jax.nn.softmax(jax.random.loggamma(key, b, dtype=jnp.float32), axis=-1)  # gammas of a small b round to 0
        return jnp.concatenate([rows, jnp.zeros((*shape, 1), rows.dtype)], axis=-1)

    def ahead(self, seen: Seen) -> Predictive:
        b = self.concentration
        found = counts(seen, len(b), b.dtype) + jnp.broadcast_to(b, (*seen.xs.shape, len(b)))
        return answering(found / jnp.sum(found, axis=-1, keepdims=True), seen.ys)


@pytree
class Mixture(TableDistribution):
    """Component c with probability proportional to exp(`log_weights[c]`)."""

    components: tuple[TableDistribution, ...]
    log_weights: Float[Array, " components"]

    def sample(self, key: Array, instruction: Array) -> Array:
        pick, *own = jax.random.split(key, 1 + len(self.components))
        index = jax.random.categorical(pick, self.log_weights, shape=instruction.shape, mode="low")
        drawn = [part.sample(k, instruction) for part, k in zip(self.components, own, strict=True)]
        return jnp.stack(drawn)[index, jnp.arange(len(instruction))]

    def ahead(self, seen: Seen) -> Predictive:
        return mixtures.all_joined(self.parts(seen)).predictive

    def parts(self, seen: Seen) -> mixtures.Part:
        """Every component as a part of the prior, stacked."""
        found = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(part.ahead(seen) for part in self.components))
        return mixtures.parts(jnp.maximum(self.log_weights, NEVER), found)


def counts(seen: Seen, n_concepts: int, dtype: jnp.dtype) -> Array:
    """N [..., K, C]: how often each concept has answered the same input before."""
    inputs = jax.nn.one_hot(seen.xs, n_concepts, dtype=dtype)
    answers = jax.nn.one_hot(seen.ys, n_concepts, dtype=dtype)
    pairs = inputs[..., :, None] * answers[..., None, :]
    before = jnp.cumsum(pairs, axis=-3) - pairs
    return jnp.sum(inputs[..., :, None] * before, axis=-2)


def answering(means: Array, ys: Array) -> Predictive:
    """The predictive of a family that answers with concepts alone, never with REFUSE: means [..., K, C]."""
    mean = jnp.concatenate([means, jnp.zeros((*means.shape[:-1], 1), means.dtype)], axis=-1)
    return Predictive(mean, log_density(mean, ys))


def renamed(tasks: TableDistribution, concepts: Int[Array, " C"]) -> TableDistribution:
    """The tasks of documents whose concepts are renamed c -> concepts[c]; fresh families stay as they are."""
    if isinstance(tasks, Mixture):
        return Mixture(tuple(map(partial(renamed, concepts=concepts), tasks.components)), tasks.log_weights)
    if isinstance(tasks, Known):
        answers = concepts[tasks.tables]
        return Known(jnp.zeros_like(answers).at[:, concepts].set(answers), tasks.log_weights, tasks.epsilon)
    return tasks
