"""Prompts: items are drawn once and rendered under every conjugation, or come finished, from a file.

An *item* is a question, and the numbers of the sentences shown before it. Its two answers are A, that of the task shown
in context, and B, that of the instruction in the question.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from implicit_inference.config.errors import ConfigError, counted, named, quoted
from implicit_inference.config.toml import parsed_toml, read_toml
from implicit_inference.lm import maps
from implicit_inference.lm.languages import Language, language, shipped, text

TASKS = {"repeat": maps.identity, "capitalise": maps.upper}
INSTRUCTIONS = ("math", "blank", "none")
LESSONS = ("math", "blank", "text")
"""Lessons that fine-tuning can show: answers to maths questions or blanks, or plain text, a neutral control."""

TUNING = 3
"""Every third question and sentence is for tuning; prompts are made of the others."""

IDENTITY = "identity"


class Prompt(NamedTuple):
    """A prompt and its two answers: `context` is A, `instruction` is B. Text of an answer begins with its space.

    `conflict`: whether both answers are right, each in its way; without it, B is merely wrong: a control of ability.
    """

    pair: str
    conjugation: str
    draw: int
    item: int
    prompt: str
    context: str
    instruction: str
    conflict: bool = True


@dataclass(frozen=True)
class Conjugation:
    """How an item is rendered: in a language, with labels, then mapped as a whole."""

    language: Language
    input: str
    output: str
    map: maps.Map


@dataclass(frozen=True)
class Pair:
    """An in-context task, and the instruction that a question holds."""

    name: str
    task: str
    instruction: str


class Item(NamedTuple):
    """Numbers of the sentences shown, of the question, and of a sentence that is a wrong answer."""

    shown: tuple[int, ...]
    question: int
    other: int


@dataclass(frozen=True)
class Plan:
    """The content of a TOML file of prompts."""

    demonstrations: int
    pairs: tuple[Pair, ...]
    conjugations: dict[str, Conjugation]

    def prompts(self, n: int, draws: tuple[int, ...]) -> Iterator[Prompt]:
        """Gives n items a draw under every conjugation; those of fewer items are the first of those of more."""
        for pair in self.pairs:
            for draw in draws:
                for i, item in enumerate(self._items(pair, n, draw)):
                    for name, conjugation in self.conjugations.items():
                        texts = rendered(pair, item, conjugation)
                        yield Prompt(pair.name, name, draw, i, *texts, pair.instruction != "none")

    def _items(self, pair: Pair, n: int, draw: int) -> list[Item]:
        """Draws items whose questions differ; pairs of one instruction have the same."""
        rng = np.random.default_rng(draw)
        english = shipped("english")
        sentences = rng.permutation(_for(english.sentences, tuning=False)).tolist()
        numbers = {"math": english.sums, "blank": len(english.blanks), "none": english.sentences}
        questions = rng.permutation(_for(numbers[pair.instruction], tuning=False)).tolist()
        if n > len(questions):
            raise ConfigError(f"n = {n}: too few questions of {pair.name!r}: allowed: at most {len(questions)}")
        items = []
        for question in questions[:n]:
            free = [s for s in rng.choice(sentences, self.demonstrations + 2, replace=False).tolist() if s != question]
            items.append(Item(tuple(free[: self.demonstrations]), question, free[self.demonstrations]))
        return items


def rendered(pair: Pair, item: Item, conjugation: Conjugation) -> tuple[str, str, str]:
    """The prompt of an item and its answers A and B, under a conjugation."""
    task, words, mapped = TASKS[pair.task], conjugation.language, conjugation.map
    question, answer = _asked(words, pair.instruction, item)
    shown = [(sentence, task(sentence)) for sentence in map(words.sentence, item.shown)]
    texts = [f"{conjugation.input}: {x}\n{conjugation.output}: {y}\n\n" for x, y in shown]
    prompt = "".join([*texts, f"{conjugation.input}: {question}\n{conjugation.output}:"])
    other = task(answer) if pair.instruction == "none" else answer
    return mapped(prompt), mapped(f" {task(question)}"), mapped(f" {other}")


def _asked(words: Language, instruction: str, item: Item) -> tuple[str, str]:
    """The question of an item and the answer of its instruction; without one, another sentence."""
    if instruction == "none":
        return words.sentence(item.question), words.sentence(item.other)
    return words.sum(item.question) if instruction == "math" else words.blanks[item.question]


def lesson(name: str, rng: np.random.Generator, tuning: bool = True) -> tuple[str, str]:
    """Draws an example of fine-tuning: a prompt, and the text after it that is learned; plain text has no prompt."""
    english = shipped("english")
    if name == "text":
        numbers = rng.choice(_for(english.sentences, tuning), 3, replace=False)
        return "", " ".join(english.sentence(int(number)) for number in numbers)
    numbers = _for(english.sums if name == "math" else len(english.blanks), tuning)
    question, answer = _asked(english, name, Item((), int(rng.choice(numbers)), 0))
    return f"{english.input}: {question}\n{english.output}:", f" {answer}"


def _for(size: int, tuning: bool) -> np.ndarray:
    """The numbers below `size` that are for tuning, or for prompts; the two of a fact go together."""
    numbers = np.arange(size)
    return numbers[(numbers // 2 % TUNING == 0) == tuning]


def read(path: Path | None, n: int, draws: tuple[int, ...]) -> list[Prompt]:
    """The prompts of a file, TOML or JSONL, or of the one that comes with this package; raises ConfigError."""
    if path is not None and path.suffix == ".jsonl":
        if draws != (0,):
            raise ConfigError(f"seeds = {quoted(list(draws))}: finished prompts have one draw: allowed: 1")
        return _finished(path, n)
    if path is None:
        file = files("implicit_inference.lm") / "prompts.toml"
        plan = _plan(parsed_toml(Path("prompts.toml"), file.read_bytes()), "prompts.toml", Path())
    else:
        plan = _plan(read_toml(path), named(path), path.parent)
    return list(plan.prompts(n, draws))


def _plan(table: dict[str, Any], where: str, beside: Path) -> Plan:
    _only(table, where, "demonstrations", "pairs", "conjugations")
    demonstrations = table.get("demonstrations", 3)
    english = shipped("english")
    most = english.sentences // TUNING
    if isinstance(demonstrations, bool) or not isinstance(demonstrations, int) or not 1 <= demonstrations <= most:
        allowed = f"a whole number from 1 to {most}, or there are too few sentences"
        raise ConfigError(f"{where}: demonstrations = {quoted(demonstrations)}: allowed: {allowed}")
    listed, conjugated = table.get("pairs"), table.get("conjugations", {})
    if not isinstance(listed, list) or not listed or not all(isinstance(pair, dict) for pair in listed):
        raise ConfigError(f"{where}: pairs = {quoted(listed)}: allowed: one [[pairs]] or more")
    if not isinstance(conjugated, dict):
        raise ConfigError(f"{where}: conjugations = {quoted(conjugated)}: allowed: a table")
    pairs = tuple(_pair(pair, where) for pair in listed)
    if len({pair.name for pair in pairs}) < len(pairs):
        raise ConfigError(f"{where}: pairs: allowed: each name once")
    conjugations = {IDENTITY: Conjugation(english, english.input, english.output, maps.identity)}
    for name, options in conjugated.items():
        if name == IDENTITY:
            raise ConfigError(f"{where}: conjugations.{name}: is there always")
        conjugations[name] = _conjugation(options, f"{where}: conjugations.{named(name)}", beside)
    return Plan(demonstrations, pairs, conjugations)


def _pair(table: dict[str, Any], where: str) -> Pair:
    _only(table, where, "name", "task", "instruction")
    for name, allowed in (("task", tuple(TASKS)), ("instruction", INSTRUCTIONS)):
        if table.get(name) not in allowed:
            raise ConfigError(f"{where}: {name} = {quoted(table.get(name))}: allowed: {', '.join(allowed)}")
    usual = f"{table['task']}, {table['instruction']}"
    return Pair(text({"name": usual} | table, "name", where), table["task"], table["instruction"])


def _conjugation(options: Any, where: str, beside: Path) -> Conjugation:
    if not isinstance(options, dict):
        raise ConfigError(f"{where} = {quoted(options)}: allowed: a table, such as {{ map = 'upper' }}")
    _only(options, where, "map", "shift", "words", "language", "input", "output")
    words = language(text({"language": "english"} | options, "language", where), beside)
    labels = {"input": words.input, "output": words.output} | options
    return Conjugation(words, text(labels, "input", where), text(labels, "output", where), _map(options, where))


def _map(options: dict[str, Any], where: str) -> maps.Map:
    name, listed, shift = options.get("map"), options.get("words"), options.get("shift")
    allowed = f"one of {', '.join(maps.MAPS)}, caesar with its shift, or a list `words` instead"
    if listed is not None:
        if not isinstance(listed, dict) or not listed or not all(isinstance(word, str) for word in listed.values()):
            raise ConfigError(f"{where}: words = {quoted(listed)}: allowed: a table of words and other words")
        if len(set(listed.values())) < len(listed):
            raise ConfigError(f"{where}: words: two of them become one: allowed: lists that can be undone")
        if name is not None or shift is not None:
            raise ConfigError(f"{where}: map = {quoted(name)}: allowed: {allowed}")
        return maps.words(listed)
    if (name == "caesar") != (shift is not None) or isinstance(shift, bool) or not isinstance(shift, int | None):
        raise ConfigError(f"{where}: shift = {quoted(shift)}: allowed: a whole number, with map = 'caesar' alone")
    if name == "caesar" and shift is not None:
        return maps.caesar(shift)
    if not isinstance(name, str | None) or (name is not None and name not in maps.MAPS):
        raise ConfigError(f"{where}: map = {quoted(name)}: allowed: {allowed}")
    return maps.MAPS[name or IDENTITY]


def _only(table: dict[str, Any], where: str, *allowed: str) -> None:
    for name in table:
        if name not in allowed:
            raise ConfigError(f"{where}: {named(name)}: no such field; allowed: {', '.join(allowed)}")


def _finished(path: Path, n: int) -> list[Prompt]:
    """Finished prompts, one table a line: the first n items of each pair, each under every conjugation of the pair."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{named(path)}: cannot be read ({reason})") from error
    found: dict[tuple[str, str, int], Prompt] = {}
    counts: dict[tuple[str, str], int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        prompt = _prompt(line, f"{named(path)}, line {number}", counts)
        if prompt[:2] + prompt[3:4] in found:
            raise ConfigError(
                f"{named(path)}, line {number}: item {prompt.item} of {prompt.conjugation!r} is there twice"
            )
        found[prompt.pair, prompt.conjugation, prompt.item] = prompt
    if not found:
        raise ConfigError(f"{named(path)}: holds no prompt")
    chosen = []
    for pair in dict.fromkeys(pair for pair, _, _ in found):
        kinds = list(dict.fromkeys(kind for of, kind, _ in found if of == pair))
        if IDENTITY not in kinds:
            raise ConfigError(f"{named(path)}: pair {quoted(pair)} has no prompt of conjugation {IDENTITY!r}")
        items = sorted({item for of, _, item in found if of == pair})
        if n > len(items):
            raise ConfigError(
                f"n = {n}: too few prompts of {quoted(pair)}: allowed: at most {counted(len(items), 'item')}"
            )
        for item in items[:n]:
            for kind in kinds:
                if (pair, kind, item) not in found:
                    raise ConfigError(f"{named(path)}: item {item} of {quoted(pair)} is absent under {quoted(kind)}")
                chosen.append(found[pair, kind, item])
    return chosen


def _prompt(line: str, where: str, counts: dict[tuple[str, str], int]) -> Prompt:
    """The prompt of a line; an item without a number is the next one of its pair and conjugation."""
    try:
        table = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not JSON") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{where} = {quoted(table)}: allowed: a table with prompt, context and instruction")
    _only(table, where, "pair", "conjugation", "item", "prompt", "context", "instruction", "conflict")
    told = {"pair": "prompts", "conjugation": IDENTITY, "conflict": True} | table
    names = ("pair", "conjugation", "prompt", "context", "instruction")
    pair, kind, prompt, context, instruction = (text(told, name, where) for name in names)
    item = told.get("item", counts.get((pair, kind), 0))
    if isinstance(item, bool) or not isinstance(item, int) or item < 0:
        raise ConfigError(f"{where}: item = {quoted(item)}: allowed: a whole number >= 0")
    if not isinstance(told["conflict"], bool):
        raise ConfigError(f"{where}: conflict = {quoted(told['conflict'])}: allowed: true or false")
    counts[pair, kind] = item + 1
    return Prompt(pair, kind, 0, item, prompt, context, instruction, told["conflict"])
