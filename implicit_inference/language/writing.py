"""Distributions of documents: parts of a prior over tables, each with its languages and its instructions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from implicit_inference.language.documents import Batch, Document, drawn_words, in_words
from implicit_inference.language.tables import Mixture, TableDistribution
from implicit_inference.pytrees import pytree


@pytree
class Writing:
    """A distribution of documents: P parts with `log_weights` [P], `languages` [P, L] and `instructions` [P, 1 + n].

    All three are log probabilities up to a constant; instruction 0 stands for none. What tables answer is `parts`.
    """

    parts: tuple[TableDistribution, ...]
    log_weights: Float[Array, " P"]
    languages: Float[Array, "P L"]
    instructions: Float[Array, "P instructions"]

    @property
    def tables(self) -> TableDistribution:
        """The prior over tables that a reader needs, who sees language and instruction."""
        return self.parts[0] if len(self.parts) == 1 else Mixture(self.parts, self.log_weights)


def joined(writings: tuple[Writing, ...], log_weights: Array) -> Writing:
    """Writing c with probability proportional to exp(`log_weights[c]`), in all its parts."""
    weights = jnp.concatenate(
        [
            log_weight + jax.nn.log_softmax(writing.log_weights)
            for log_weight, writing in zip(log_weights, writings, strict=True)
        ]
    )
    return Writing(
        tuple(part for writing in writings for part in writing.parts),
        weights,
        jnp.concatenate([writing.languages for writing in writings]),
        jnp.concatenate([writing.instructions for writing in writings]),
    )


def sample(key: Array, writing: Writing, n: int, length: int, n_concepts: int) -> Batch:
    """n documents with `length` pairs, inputs uniform over concepts, with the true distribution of every answer."""
    part_key, language_key, instruction_key, x_key, table_key, chance_key = jax.random.split(key, 6)
    n_languages = writing.languages.shape[1]
    index = jax.random.categorical(part_key, writing.log_weights, shape=(n,), mode="low")

    def chosen(key: Array, log_probabilities: Array) -> Array:
        found = jax.random.categorical(key, log_probabilities[index], axis=-1, mode="low")
        return found.astype(jnp.int32)

    language, instruction = chosen(language_key, writing.languages), chosen(instruction_key, writing.instructions) - 1
    keys = jax.random.split(table_key, len(writing.parts))
    drawn = [part.sample(key, instruction) for key, part in zip(keys, writing.parts, strict=True)]
    rows = jnp.stack(drawn)[index, jnp.arange(n)]
    xs = jax.random.randint(x_key, (n, length), 0, n_concepts, jnp.int32)
    truth = in_words(jnp.take_along_axis(rows, xs[..., None], axis=1), language, n_languages)
    chance = jax.random.uniform(chance_key, (n, length), jnp.float32)
    words = xs + language[:, None] * n_concepts
    return Batch(Document(language, instruction, words, drawn_words(truth, chance)), truth, chance)
