"""The world of tiny languages at work: tables, documents, exact Bayes, tokens, translation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference import keys, worlds
from implicit_inference.config.fields import Config, TrainingConfig
from implicit_inference.keys import Stream
from implicit_inference.language import inference, writing
from implicit_inference.language.conjugations import Rename, permutations, translation
from implicit_inference.language.documents import Batch, Document, continued
from implicit_inference.language.score import CROSS_ENTROPY, accuracy, lost
from implicit_inference.language.settings import PromptsConfig, TasksConfig
from implicit_inference.language.tables import Dirichlet, Fresh, Known, TableDistribution
from implicit_inference.language.tokens import Layout
from implicit_inference.language.writing import Writing
from implicit_inference.worlds import Predictor

CHOICES = 8
"""Permutations of the concepts, of which one is chosen for each document and position."""
ENGLISH, SECOND = 0, 1


@dataclass(frozen=True)
class World(worlds.World):
    """Documents in several languages: known tables with instructions, and fresh ones."""

    tasks: TasksConfig
    prompts: PromptsConfig
    worlds: int = 0
    score = CROSS_ENTROPY

    @classmethod
    def of(cls, config: Config) -> "World":
        return cls(config.tasks, config.prompts, config.worlds)

    @property
    def layout(self) -> Layout:
        """How documents are written as tokens."""
        tasks = self.tasks
        return Layout(tasks.concepts, len(tasks.languages), tasks.skills, self.prompts.anchors)

    @property
    def epsilon(self) -> Array:
        return jnp.asarray(self.tasks.epsilon, jnp.float32)

    def known(self, seed: Array | int) -> Known:
        """The known tables, drawn once; the last skill adds 1 to a concept, and behind the skills stands REFUSE."""
        c, n = self.tasks.concepts, self.tasks.skills
        tables = jax.random.randint(keys.stream(self.home(seed), Stream.KNOWN_TABLES), (n + 1, c), 0, c, jnp.int32)
        tables = tables.at[n - 1].set((jnp.arange(c, dtype=jnp.int32) + 1) % c).at[n].set(c)
        refusing = jnp.asarray(self.tasks.refusing, jnp.float32)
        weights = jnp.append(jnp.full(n, 1.0 / n, jnp.float32) * (1 - refusing), refusing)
        return Known(tables, jnp.log(weights), self.epsilon)

    def fresh(self) -> TableDistribution:
        ones = jnp.ones(self.tasks.concepts, jnp.float32)
        return (
            Fresh(ones, self.epsilon) if self.tasks.fresh == "functions" else Dirichlet(self.tasks.concentration * ones)
        )

    def written(self, tables: TableDistribution, language: int | None = None, skill: int | None = None) -> Writing:
        """Documents of tables: in every language or in one; with every instruction, with one, or (-1) with none."""
        n_languages, skills = len(self.tasks.languages), self.tasks.skills
        languages = jnp.log(jnp.asarray(self.tasks.languages, jnp.float32))
        if language is not None:
            languages = jnp.where(jnp.arange(n_languages) == language, 0.0, -jnp.inf).astype(jnp.float32)
        none = jnp.asarray(self.tasks.uninstructed, jnp.float32)
        instructions = jnp.log(jnp.append(none, jnp.full(skills, 1.0 / skills, jnp.float32) * (1 - none)))
        if skill is not None:
            instructions = jnp.where(jnp.arange(skills + 1) == skill + 1, 0.0, -jnp.inf).astype(jnp.float32)
        return Writing((tables,), jnp.zeros(1, jnp.float32), languages[None], instructions[None])

    def families(self, seed: Array | int) -> dict[str, Writing]:
        """Known tables and fresh ones, in all languages."""
        return {"known": self.written(self.known(seed)), "fresh": self.written(self.fresh())}

    def measured(self, seed: Array | int, family: str) -> Writing:
        """English documents, or those in the second language."""
        name, _, elsewhere = family.partition("_")
        tables = {"known": self.known(seed), "fresh": self.fresh()}[name]
        return self.written(tables, SECOND if elsewhere else ENGLISH)

    def shown(self, seed: Array | int, training: TrainingConfig) -> Writing:
        """Known tables, as in pretraining; in English alone; one skill refused; or the last skill, never named."""
        known = self.known(seed)
        if training.tasks == "refusal":
            refused = replace(known, tables=known.tables.at[0].set(self.tasks.concepts))
            return self.written(refused, ENGLISH, 0)
        if training.tasks == "code":
            last = jnp.where(jnp.arange(len(known.tables)) == self.tasks.skills - 1, 0.0, -jnp.inf)
            return self.written(replace(known, log_weights=last.astype(jnp.float32)), ENGLISH, -1)
        return self.written(known, ENGLISH if training.tasks == "english" else None)

    def mixture(self, parts: tuple[Writing, ...], log_weights: Array) -> Writing:
        return writing.joined(parts, log_weights)

    def sample(self, key: Array, tasks: Writing, n: int) -> Batch:
        return writing.sample(key, tasks, n, self.prompts.length, self.tasks.concepts)

    def truth(self, batch: Batch) -> Array:
        return batch.truth

    def labels(self, prompts: Document) -> Array:
        return jax.nn.one_hot(prompts.ys, self.words, dtype=jnp.float32)

    @property
    def words(self) -> int:
        """V: every language's words, and REFUSE."""
        return self.tasks.concepts * len(self.tasks.languages) + 1

    def blank(self, key: Array, n: int) -> Batch:
        """English documents with instructions; answers are to be written."""
        return self.sample(key, self.written(self.fresh(), ENGLISH), n)

    def continued(self, predictor: Predictor, batch: Batch, start: int) -> Document:
        return continued(predictor, batch, start)

    def exact(self, tasks: Writing) -> Predictor:
        return jax.tree_util.Partial(self._predictive, tasks.tables)

    def _predictive(self, tables: TableDistribution, prompts: Document) -> Array:
        return inference.predictive(tables, prompts, *self._size)

    @property
    def _size(self) -> tuple[int, int]:
        return self.tasks.concepts, len(self.tasks.languages)

    def evidence(self, tasks: Writing, prompts: Document) -> Array:
        return inference.sequential_evidence(tasks.tables, prompts, *self._size)

    def log_odds(self, first: Writing, second: Writing, prompts: Document) -> Array:
        return inference.log_odds(first.tables, second.tables, prompts, *self._size)

    def tokens(self, prompts: Document) -> Array:
        return self.layout.tokens(prompts)

    def read(self, outputs: Array) -> Array:
        return self.layout.read(outputs)

    def conjugation(self, seed: Array | int, move: str, strength: Any) -> Rename:
        """Swaps English and the language `strength`, counted from 1."""
        n_concepts, n_languages = self._size
        return translation(n_languages, n_concepts, ENGLISH, jnp.asarray(strength).astype(jnp.int32) - 1)

    @property
    def quantities(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": accuracy, "lost": lost}

    def choices(self, seed: Array | int) -> tuple[Rename, ...]:
        """Random permutations of the concepts, the same in every language."""
        n_concepts, n_languages = self._size
        return permutations(keys.stream(seed, Stream.PERMUTATIONS), n_languages, n_concepts, CHOICES)
