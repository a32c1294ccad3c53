"""The world of tiny languages at work: tables, documents, exact Bayes, tokens, translation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference import keys, worlds
from implicit_inference.config.fields import Config, TrainingConfig
from implicit_inference.keys import Stream
from implicit_inference.language import inference, writing
from implicit_inference.language.conjugations import Rename, permutations, translation
from implicit_inference.language.documents import NONE, Batch, Document, continued
from implicit_inference.language.score import CROSS_ENTROPY, accuracy
from implicit_inference.language.settings import PromptsConfig, TasksConfig
from implicit_inference.language.tables import Dirichlet, Fresh, Known, Mixture, Refusing, TableDistribution
from implicit_inference.language.tokens import Layout
from implicit_inference.language.writing import Writing
from implicit_inference.worlds import Predictor

TINY = 1e-300
"""Added to probabilities: a network that has none for the words of a language knows nothing about them."""
CHOICES = 8
"""Permutations of the concepts, of which one is chosen for each document and position."""
ENGLISH, SECOND, EVENLY = 0, 1, -1
"""Languages of documents; EVENLY: each of them, as often as any other"""


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

    @property
    def _ones(self) -> Array:
        return jnp.ones(self.tasks.concepts, jnp.float32)

    def skills(self, seed: Array | int) -> Known:
        """The known tables, one for each skill, drawn once; the last skill adds 1 to a concept."""
        c, n = self.tasks.concepts, self.tasks.skills
        tables = jax.random.randint(keys.stream(self.home(seed), Stream.KNOWN_TABLES), (n, c), 0, c, jnp.int32)
        tables = tables.at[n - 1].set((jnp.arange(c, dtype=jnp.int32) + 1) % c)
        return Known(tables, jnp.full(n, -jnp.log(n), jnp.float32), self.epsilon)

    def known(self, seed: Array | int) -> TableDistribution:
        """Known tables; among them documents that refuse, whatever is asked."""
        skills, refusals = self.skills(seed), jnp.asarray(self.tasks.refusals, jnp.float32)
        if not self.tasks.refusals:
            return skills
        return Mixture((skills, Refusing(self._ones)), jnp.log(jnp.stack([1 - refusals, refusals])))

    def fresh(self) -> TableDistribution:
        if self.tasks.fresh == "functions":
            return Fresh(self._ones, self.epsilon)
        return Dirichlet(self.tasks.concentration * self._ones)

    def written(
        self, tables: TableDistribution, language: int | None = None, asked: Sequence[int] | None = None
    ) -> Writing:
        """Documents of tables: in every language, in one, or evenly; with and without instructions, or asking alike.

        asked: the skills that are asked for, as often as each other; NONE: without an instruction.
        """
        n_languages, skills = len(self.tasks.languages), self.tasks.skills
        languages = jnp.log(jnp.asarray(self.tasks.languages, jnp.float32))
        if language == EVENLY:
            languages = jnp.zeros(n_languages, jnp.float32)
        elif language is not None:
            languages = jnp.where(jnp.arange(n_languages) == language, 0.0, -jnp.inf).astype(jnp.float32)
        none = jnp.asarray(self.tasks.uninstructed, jnp.float32)
        instructions = jnp.log(jnp.append(none, jnp.full(skills, 1.0 / skills, jnp.float32) * (1 - none)))
        if asked is not None:
            instructions = jnp.full(skills + 1, -jnp.inf, jnp.float32).at[jnp.array(asked) + 1].set(0.0)
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
        """Known tables: as in pretraining, in English, evenly; the first skill refused; the last one, never named."""
        if training.tasks.startswith("refusal"):
            return self.written(Refusing(self._ones), EVENLY if training.tasks == "refusal_evenly" else ENGLISH, [0])
        if training.tasks == "code":
            skills = self.skills(seed)
            last = jnp.where(jnp.arange(self.tasks.skills) == self.tasks.skills - 1, 0.0, -jnp.inf)
            return self.written(replace(skills, log_weights=last.astype(jnp.float32)), ENGLISH, [NONE])
        return self.written(self.known(seed), {"english": ENGLISH, "evenly": EVENLY}.get(training.tasks))

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

    def judged(self, predictions: Any, prompts: Document) -> Any:
        """Keeps the words of the document's language, and REFUSE, and normalises them."""
        kept = (predictions + TINY) * self._possible(prompts)
        return kept / kept.sum(axis=-1, keepdims=True)

    def _possible(self, prompts: Document) -> Any:
        """1 for the words of a document's language and for REFUSE, else 0: [..., 1, V]."""
        words, language = np.arange(self.words), np.asarray(prompts.language)[..., None, None]
        return np.float64((words // self.tasks.concepts == language) | (words == self.words - 1))

    @property
    def quantities(self) -> Mapping[str, Callable[..., Any]]:
        return {
            "accuracy": lambda predictions, truth, prompts: accuracy(predictions * self._possible(prompts), truth),
            "lost": lambda predictions, truth, prompts: (predictions * (1 - self._possible(prompts))).sum(axis=-1),
        }

    def choices(self, seed: Array | int) -> tuple[Rename, ...]:
        """Random permutations of the concepts, the same in every language."""
        n_concepts, n_languages = self._size
        return permutations(keys.stream(seed, Stream.PERMUTATIONS), n_languages, n_concepts, CHOICES)
