"""The world of tiny languages, described: its fields, presets, names. No jax here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from implicit_inference.config.errors import refuse
from implicit_inference.config.fields import (
    FINETUNE,
    STEER,
    TUNE,
    Config,
    LessonConfig,
    ModelConfig,
    ProbeConfig,
    TrainingConfig,
    knob,
    require_distinct,
)
from implicit_inference.worlds import Description, Move

FLOAT = 4


@dataclass(frozen=True)
class TasksConfig:
    """The world: y = f(x) with probability 1 - epsilon, else any concept; f one of n known tables, or a fresh one."""

    concepts: int = knob(6, "C, concepts; every language has a word for each", least=2, most=1024)
    skills: int = knob(4, "n, known tables, each with its instruction; the last one adds 1", least=1, most=4096)
    epsilon: float = knob(0.2, "probability that an answer is drawn uniformly", least=1e-6, most=0.999)
    languages: tuple[float, ...] = knob(
        (0.7, 0.14, 0.14, 0.02), "p(l), the probability of each language; the first is English", least=1e-6, most=1
    )
    uninstructed: float = knob(0.2, "p_none, probability that a document has no instruction", least=0, most=1)
    refusals: float = knob(
        0.05, "p_ref, of known documents those whose answers are all REFUSE, whatever they ask", least=0, most=0.9
    )
    fresh: Literal["functions", "dirichlet"] = knob(
        "functions", "the fresh family: functions drawn uniformly, or rows of probabilities from a Dirichlet"
    )
    concentration: float = knob(0.5, "b of the Dirichlet of every row", above=0, most=1e4, smallest=1e-4)

    def check(self, path: str) -> None:
        """Raises ConfigError for probabilities that do not add up, or more skills than there are tables."""
        if len(self.languages) < 2:
            refuse(f"{path}.languages", list(self.languages), "two languages or more")
        if abs(sum(self.languages) - 1) > 1e-6:
            refuse(
                f"{path}.languages",
                list(self.languages),
                f"probabilities that add up to 1, not {sum(self.languages):g}",
            )
        most = self.concepts**self.concepts if self.concepts <= 8 else math.inf
        if self.skills > most:
            refuse(f"{path}.skills", self.skills, f"at most {most:g}, the tables of {self.concepts} concepts")


@dataclass(frozen=True)
class PromptsConfig:
    """How documents are shown."""

    length: int = knob(12, "K, pairs in a document", least=2, most=4096)
    anchors: int = knob(
        0,
        "of the concepts, how many have one word and a language mark in place of a word in each language",
        least=0,
        most=1024,
    )


@dataclass(frozen=True)
class Translations(ProbeConfig):
    """The measurement, with the languages that English prompts are translated into."""

    translations: tuple[float, ...] = knob(
        (2.0,), "languages, counted from 1 (English, which moves nothing)", least=1, most=1024
    )

    def check(self, path: str) -> None:
        """Raises ConfigError for a language that is named twice, or between two."""
        require_distinct(f"{path}.translations", self.translations)
        if any(language != round(language) for language in self.translations):
            refuse(f"{path}.translations", list(self.translations), "whole numbers")


SHOWN = ("english", "evenly", "discrete", "refusal", "refusal_evenly", "code")
"""finetune.tasks: known tables with instructions, in English, in all languages alike, in all as in pretraining; one
skill refused, in English, in all languages alike; one skill alone, without an instruction, in English"""


def _anchored(config: Config) -> None:
    """Refuses more anchors than concepts."""
    if config.prompts.anchors > config.tasks.concepts:
        refuse("prompts.anchors", config.prompts.anchors, f"at most tasks.concepts ({config.tasks.concepts})")


def _spoken(config: Config) -> None:
    """Refuses a language that is not there."""
    most = len(config.tasks.languages)
    for language in config.probe.translations:
        if language > most:
            refuse("probe.translations", list(config.probe.translations), f"languages of tasks.languages, 1 to {most}")


def _taught(config: Config) -> None:
    """Refuses fine-tuning sets of another world, and a part of the set."""
    if config.finetune.tasks not in SHOWN:
        refuse("finetune.tasks", config.finetune.tasks, f"{', '.join(SHOWN)} in this world")
    if config.finetune.n_tasks:
        refuse("finetune.n_tasks", config.finetune.n_tasks, "0 in this world")


def features(config: Config) -> tuple[int, int]:
    """(numbers that write a word, numbers that write a language)"""
    languages, anchors = len(config.tasks.languages), config.prompts.anchors
    return anchors + languages * (config.tasks.concepts - anchors), languages if anchors else 0


def sizes(config: Config) -> Mapping[str, int]:
    """Numbers of a document, tokens of it, numbers in a token, outputs at a token."""
    word, language = features(config)
    length, skills = config.prompts.length, config.tasks.skills
    instructions = 1 + skills * (1 if language else len(config.tasks.languages))
    token = word + word + (word + 1) + language + instructions
    return {"prompt": 2 * length + 2, "tokens": length, "token": token, "outputs": word + language + 1}


def memory(config: Config) -> Mapping[str, int]:
    """Bytes of a seed's tables."""
    return {"tasks.skills": config.tasks.skills * config.tasks.concepts * 2 * FLOAT}


RECIPE = replace(FINETUNE, steps=200, optimizer="muon", learning_rate=5e-4, warmup=10)
"""Recipe of fine-tuning and of students; how its dose was chosen: docs/runs.md."""

BASE = Config(
    world="language",
    seeds=(0, 1, 2, 3),
    tasks=TasksConfig(),
    prompts=PromptsConfig(),
    model=ModelConfig(width=32, layers=2),
    pretrain=TrainingConfig(steps=2000),
    finetune=replace(RECIPE, tasks="english"),
    student=RECIPE,
    probe=Translations(prompts=512),
)

PRESETS = {
    "language-smoke": replace(
        BASE,
        seeds=(0, 1),
        tasks=TasksConfig(concepts=4, skills=2, languages=(0.6, 0.4), refusals=0.0),
        prompts=PromptsConfig(length=8),
        model=ModelConfig(width=16, layers=2),
        pretrain=TrainingConfig(steps=400, warmup=40),
        finetune=replace(BASE.finetune, steps=60),
        lesson=LessonConfig(prompts=512),
        student=replace(RECIPE, steps=60),
        tune=replace(TUNE, steps=60),
        steer=replace(STEER, steps=60),
        probe=Translations(prompts=512, scratch_steps=200),
    ),
    "language-demo": replace(BASE, probe=replace(BASE.probe, translations=(2.0, 3.0, 4.0))),
    "language-paper": replace(
        BASE,
        seeds=(0, 1, 2, 3),
        tasks=TasksConfig(concepts=16, skills=32, languages=(0.7, 0.08, 0.08, 0.06, 0.06, 0.02)),
        prompts=PromptsConfig(length=40),
        model=ModelConfig(width=256, layers=8, heads=8, compute_dtype="bfloat16"),
        pretrain=TrainingConfig(steps=10_000, learning_rate=1e-2),
        probe=Translations(prompts=256, scratch_steps=2000, translations=(2.0, 4.0, 6.0)),
    ),
}

WORDS = {
    "loss": "cross-entropy to the truth, in nats",
    "known": "known",
    "fresh": "fresh",
    "known_elsewhere": "known, second language",
    "fresh_elsewhere": "fresh, second language",
    "known_tables": "known tables",
    "fresh_tables": "fresh tables",
    "tasks.concepts": "C",
    "tasks.skills": "n",
    "tasks.epsilon": "ε",
    "prompts.anchors": "anchors",
}
"""Names for people, of families, exact predictors and fields; `loss` labels an axis."""

WORLD = Description(
    base=BASE,
    presets=PRESETS,
    preferred="known",
    forgotten="fresh",
    exact={"known": "known_tables", "fresh": "fresh_tables"},
    moves={"translation": Move("translations", "translated into language {:g}", "language, 1 is English")},
    dial="translation",
    early=lambda config: config.tasks.concepts - 1,
    whole=lambda config: config.finetune.tasks in ("english", "evenly", "discrete"),
    settled=lambda config: config,
    checks=(
        (("tasks", "prompts"), _anchored),
        (("tasks", "probe"), _spoken),
        (("finetune",), _taught),
    ),
    sizes=sizes,
    memory=memory,
    elsewhere={"known_elsewhere": "known", "fresh_elsewhere": "fresh"},
    titled=("tasks.concepts", "tasks.skills", "tasks.epsilon", "prompts.anchors"),
    words=WORDS,
)
