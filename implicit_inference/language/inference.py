"""Exact Bayes for documents: predictions over the whole vocabulary, evidence, posteriors; in float64 inside."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference.bayes import mixtures
from implicit_inference.bayes.mixtures import Predictive
from implicit_inference.bayes.precision import in_float64
from implicit_inference.language.documents import Document, in_concepts, in_words
from implicit_inference.language.tables import Known, Mixture, Seen, TableDistribution


def numbers(tasks: TableDistribution, documents: Document, n_concepts: int, n_languages: int) -> tuple[Any, Any]:
    """Tasks and documents in concepts, all in the precision of the tasks, as a section in float64 takes them."""
    both = tasks, in_concepts(documents, n_concepts, n_languages)
    dtype = jnp.result_type(*(leaf for leaf in jax.tree.leaves(tasks) if jnp.issubdtype(leaf.dtype, jnp.floating)))
    found: tuple[Any, Any] = jax.tree.map(lambda leaf: leaf.astype(dtype), both)
    return found


def whole(seen: Seen) -> Seen:
    """The numbers of documents as integers again."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.int32), seen)


@in_float64
def one_step_ahead(tasks: TableDistribution, seen: Seen) -> Predictive:
    """The mean of the answer's one-hot [..., K, C + 1], and the log density of the answer seen [..., K]."""
    return tasks.ahead(whole(seen))


@in_float64
def _evidence(tasks: TableDistribution, seen: Seen) -> Array:
    """Summed in float64: what no table answers leaves a number, and the difference of two such sums is one."""
    log_density = tasks.ahead(whole(seen)).log_density
    return jnp.pad(jnp.cumsum(log_density, axis=-1), [(0, 0)] * (log_density.ndim - 1) + [(1, 0)])


@in_float64
def _log_odds(tasks: Mixture, seen: Seen) -> Array:
    return mixtures.log_odds(tasks.parts(whole(seen)))[..., 0]


@in_float64
def _posterior(tasks: Mixture | Known, seen: Seen) -> Array:
    return mixtures.posterior(tasks.parts(whole(seen)))


def predictive(tasks: TableDistribution, documents: Document, n_concepts: int, n_languages: int) -> Array:
    """The exact probability of every word before y_k is seen [..., K, V]; other languages' words have none."""
    found = one_step_ahead(*numbers(tasks, documents, n_concepts, n_languages))
    return in_words(found.mean, documents.language, n_languages)


def sequential_evidence(tasks: TableDistribution, documents: Document, n_concepts: int, n_languages: int) -> Array:
    """log p(y_1 ... y_k | x_1 ... x_k, l, instruction) for k = 0 ... K: [..., K+1]."""
    return _evidence(*numbers(tasks, documents, n_concepts, n_languages))


def posterior(tasks: Mixture | Known, documents: Document, n_concepts: int, n_languages: int) -> Array:
    """The posterior over components of a mixture, or over known tables, before y_k is seen [..., K, parts]."""
    return _posterior(*numbers(tasks, documents, n_concepts, n_languages))


def log_odds(
    first: TableDistribution, second: TableDistribution, documents: Document, n_concepts: int, n_languages: int
) -> Array:
    """log p(past | first) - log p(past | second) before y_k is seen [..., K]."""
    even = Mixture((first, second), jnp.zeros(2, jnp.float32))
    return _log_odds(*numbers(even, documents, n_concepts, n_languages))
