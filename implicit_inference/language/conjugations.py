"""Renaming: the one conjugation of languages. Translation swaps two languages; concepts may be permuted in all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from implicit_inference.bayes.conjugation import Conjugation
from implicit_inference.language.documents import Document
from implicit_inference.language.tables import TableDistribution, renamed
from implicit_inference.pytrees import pytree


@pytree
class Rename(Conjugation):
    """Writes language l as languages[l] and concept c as concepts[c]: word (l, c) -> (languages[l], concepts[c]).

    REFUSE and instructions stay. The vocabulary is permuted, so the log-Jacobian is 0. Fresh tables are invariant under
    a permutation of concepts; known ones move. Languages share all tables, so a swap of languages moves none.
    """

    languages: Int[Array, " L"]
    concepts: Int[Array, " C"]

    def apply(self, prompts: Document) -> Document:
        words = self._words()
        return replace(prompts, language=self.languages[prompts.language], xs=words[prompts.xs], ys=words[prompts.ys])

    def undo(self, predictions: Array, prompts: Document) -> Array:
        """Probabilities [..., K, V] of the renamed words, as those of the words themselves."""
        return jnp.take(predictions, self._words(), axis=-1)

    def push(self, tasks: TableDistribution, belief: Any) -> tuple[TableDistribution, Any]:
        return renamed(tasks, self.concepts), belief

    def inverse(self) -> Rename:
        return Rename(jnp.argsort(self.languages).astype(jnp.int32), jnp.argsort(self.concepts).astype(jnp.int32))

    def _words(self) -> Array:
        """The new word of every word [V]."""
        n = len(self.concepts)
        words = (self.languages[:, None] * n + self.concepts[None]).reshape(-1)
        return jnp.append(words, len(words)).astype(jnp.int32)


def translation(n_languages: int, n_concepts: int, first: Array | int, second: Array | int) -> Rename:
    """Swaps two languages."""
    languages = jnp.arange(n_languages, dtype=jnp.int32)
    swapped = jnp.where(languages == first, second, jnp.where(languages == second, first, languages))
    return Rename(swapped.astype(jnp.int32), jnp.arange(n_concepts, dtype=jnp.int32))


def permutations(key: Array, n_languages: int, n_concepts: int, n: int) -> tuple[Rename, ...]:
    """n random permutations of the concepts, the same in every language."""
    languages = jnp.arange(n_languages, dtype=jnp.int32)
    drawn = (jax.random.uniform(k, (n_concepts,), jnp.float32) for k in jax.random.split(key, n))
    return tuple(Rename(languages, jnp.argsort(chance).astype(jnp.int32)) for chance in drawn)
