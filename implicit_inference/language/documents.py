"""Documents: what is written, in which language, under which instruction.

A document is a language l, an instruction (a skill, or none: -1), and pairs x_1, y_1 ... x_K, y_K in that language.
Inputs and answers are words. The vocabulary has C words for each of L languages, word (l, c) = l C + c, and REFUSE,
the last one. Concepts c are shared between languages, words are not.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from implicit_inference.language.tables import Seen
from implicit_inference.pytrees import pytree

NONE = -1
"""No instruction."""


@pytree
class Document:
    """Documents: `language` and `instruction` [...], inputs `xs` and answers `ys` [..., K], as words."""

    language: Int[Array, "..."]
    instruction: Int[Array, "..."]
    xs: Int[Array, "..."]
    ys: Int[Array, "..."]


@pytree
class Batch:
    """Documents [n, K], the true distribution of every answer [n, K, V], and uniform numbers that decide answers."""

    prompts: Document
    truth: Array
    chance: Array


def in_concepts(documents: Document, n_concepts: int, n_languages: int) -> Seen:
    """The documents in concepts: answers are concepts of the document's own language, REFUSE, or neither."""
    first = documents.language[..., None] * n_concepts
    own = documents.ys - first
    ys = jnp.where((own >= 0) & (own < n_concepts), own, n_concepts + 1)
    ys = jnp.where(documents.ys == n_concepts * n_languages, n_concepts, ys)
    return Seen(documents.instruction, documents.xs - first, ys)


def in_words(answers: Array, language: Array, n_languages: int) -> Array:
    """Puts probabilities of answers [..., K, C + 1] into the vocabulary [..., K, V], the words of a language [...]."""
    own = jax.nn.one_hot(language, n_languages, dtype=answers.dtype)[..., None, :, None]
    words = own * answers[..., None, :-1]
    flat = words.reshape(*words.shape[:-2], -1)
    return jnp.concatenate([flat, answers[..., -1:]], axis=-1)


def drawn_words(probabilities: Array, chance: Array) -> Array:
    """The words that uniform numbers [...] stand for, by cumulated probabilities [..., V]; none of probability 0."""
    cumulated = jnp.cumsum(probabilities, axis=-1)
    below = cumulated[..., :-1] <= chance[..., None] * jnp.sum(probabilities, axis=-1)[..., None]
    last = jnp.argmax(cumulated, axis=-1)  # where rounding carries a number beyond the sum
    return jnp.minimum(jnp.sum(below, axis=-1, dtype=jnp.int32), last.astype(jnp.int32))


def continued(predictor: Any, batch: Batch, start: int) -> Document:
    """The documents of a batch [n, K], answers from position `start` on drawn from the predictor, one by one."""

    def answer(k: Array, documents: Document) -> Document:
        words = drawn_words(predictor(documents), batch.chance)
        return replace(documents, ys=documents.ys.at[..., k].set(words[..., k]))

    return jax.lax.fori_loop(start, batch.prompts.ys.shape[-1], answer, batch.prompts)
