"""Tokens of documents, compact: a token holds x_k and the pair before; words separate, shared, or in between.

The first `anchors` concepts have one word, written with a mark of the language; the others have a word in each
language. Without anchors nothing is shared but the tables; with all, a word is concept + language.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference.language.documents import Document


@dataclass(frozen=True)
class Layout:
    """The numbers C of concepts, L of languages, n of skills and A of anchors."""

    concepts: int
    languages: int
    skills: int
    anchors: int

    @property
    def codes(self) -> int:
        """Numbers that write a word: A for anchors, L (C - A) for the others."""
        return self.anchors + self.languages * (self.concepts - self.anchors)

    def code(self, words: Array) -> Array:
        """The code of a word in 0 .. codes - 1; REFUSE has the next one."""
        language, concept = words // self.concepts, words % self.concepts
        own = self.anchors + language * (self.concepts - self.anchors) + concept - self.anchors
        code = jnp.where(concept < self.anchors, concept, own)
        return jnp.where(words == self.concepts * self.languages, self.codes, code)

    def tokens(self, documents: Document) -> Array:
        """[..., K, token]: one-hot x_k, x_{k-1}, y_{k-1}, the language mark, and at the first the instruction."""
        xs = jax.nn.one_hot(self.code(documents.xs), self.codes, dtype=jnp.float32)
        ys = jax.nn.one_hot(self.code(documents.ys), self.codes + 1, dtype=jnp.float32)
        past = jnp.concatenate([xs, ys], axis=-1)
        past = jnp.concatenate([jnp.zeros_like(past[..., :1, :]), past[..., :-1, :]], axis=-2)
        parts = [xs, past]
        first = (jnp.arange(xs.shape[-2]) == 0).astype(jnp.float32)[:, None]
        if self.anchors:
            mark = jax.nn.one_hot(documents.language, self.languages, dtype=jnp.float32)[..., None, :]
            parts.append(jnp.broadcast_to(mark, (*xs.shape[:-1], self.languages)))
        parts.append(self._instruction(documents)[..., None, :] * first.reshape((1,) * (xs.ndim - 2) + first.shape))
        return jnp.concatenate(parts, axis=-1)

    def _instruction(self, documents: Document) -> Array:
        """One-hot of the instruction, none the first; without anchors every language has words of its own for them."""
        own = 0 if self.anchors else documents.language * self.skills
        size = 1 + self.skills * (1 if self.anchors else self.languages)
        code = jnp.where(documents.instruction < 0, 0, 1 + own + documents.instruction)
        return jax.nn.one_hot(code, size, dtype=jnp.float32)

    def read(self, outputs: Array) -> Array:
        """Probabilities of all words [..., K, V] from outputs: a logit a code, a mark, and REFUSE."""
        words = jnp.arange(self.concepts * self.languages, dtype=jnp.int32)
        logits = outputs[..., self.code(words)]
        if self.anchors:
            marks = outputs[..., self.codes : self.codes + self.languages]
            logits = logits + jnp.where(words % self.concepts < self.anchors, marks[..., words // self.concepts], 0.0)
        return jax.nn.softmax(jnp.concatenate([logits, outputs[..., -1:]], axis=-1), axis=-1)
