"""Languages: the words that items are rendered with. The same places of all lists say the same thing in each."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from implicit_inference.config.errors import ConfigError, quoted
from implicit_inference.config.toml import parsed_toml, read_toml

SHIPPED = ("english", "french", "spanish", "german", "hungarian")
GAP = "____"
LEAST, LARGEST = 11, 89
"""The numbers that are added."""

PARTS = ("subjects", "predicates", "endings")
TEXTS = ("input", "output", "math", "blank")


@dataclass(frozen=True)
class Language:
    """Templates and words. Sentences are every subject with every predicate and every ending."""

    where: str
    input: str
    output: str
    math: str
    blank: str
    subjects: tuple[str, ...]
    predicates: tuple[str, ...]
    endings: tuple[str, ...]
    facts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """(question with two gaps, the pairs that fill them)"""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The lengths of all lists; those of two languages must agree for items to be paired."""
        return (*(len(getattr(self, part)) for part in PARTS), *(len(pairs) for _, pairs in self.facts))

    @property
    def sentences(self) -> int:
        """The number of sentences."""
        return len(self.subjects) * len(self.predicates) * len(self.endings)

    def sentence(self, number: int) -> str:
        """The sentence of this number, from 0."""
        rest, ending = divmod(number, len(self.endings))
        subject, predicate = divmod(rest, len(self.predicates))
        return f"{self.subjects[subject]} {self.predicates[predicate]} {self.endings[ending]}."

    @property
    def sums(self) -> int:
        """The number of maths questions."""
        return (LARGEST - LEAST + 1) ** 2

    def sum(self, number: int) -> tuple[str, str]:
        """The maths question of this number, from 0, and its answer."""
        a, b = (LEAST + part for part in divmod(number, LARGEST - LEAST + 1))
        return self.math.format(a=a, b=b), str(a + b)

    @cached_property
    def blanks(self) -> list[tuple[str, str]]:
        """Questions with a gap and what fills it: every fact twice, with a gap at either place."""
        return [
            (f"{self.blank} {question.format(*gapped)}", pair[place])
            for question, pairs in self.facts
            for pair in pairs
            for place, gapped in ((1, (pair[0], GAP)), (0, (GAP, pair[1])))
        ]


@lru_cache
def shipped(name: str) -> Language:
    """A language that comes with this package."""
    file = files("implicit_inference.lm") / "languages" / f"{name}.toml"
    return _language(parsed_toml(Path(str(file)), file.read_bytes()), f"{name}.toml")


def language(name: str, beside: Path) -> Language:
    """The language of this name, or in this TOML file, as seen from the directory `beside`; raises ConfigError."""
    if name in SHIPPED:
        return shipped(name)
    if not name.endswith(".toml"):
        raise ConfigError(f"language = {quoted(name)}: allowed: {', '.join(SHIPPED)}, or a TOML file")
    found, english = _language(read_toml(beside / name), name), shipped("english")
    if found.sizes != english.sizes:
        sizes = f"{', '.join(PARTS)} and facts have {', '.join(map(str, found.sizes))} entries"
        raise ConfigError(f"{name}: {sizes}: allowed: {', '.join(map(str, english.sizes))}, too few cannot be paired")
    return found


def _language(table: dict[str, Any], where: str) -> Language:
    texts = {name: text(table, name, where) for name in TEXTS}
    parts = {name: tuple(_list(table, name, where, "texts", lambda each: isinstance(each, str))) for name in PARTS}
    for name in parts:
        if len(set(parts[name])) < len(parts[name]):
            raise ConfigError(f"{where}: {name}: allowed: each once")
    _fits(texts["math"], where, "math", "text with {a} and {b}", a=1, b=2)
    facts = []
    for of in _list(table, "facts", where, "tables", lambda each: isinstance(each, dict)):
        question = text(of, "question", where)
        _fits(question, where, "question", "text with {0} and {1}", 1, 2)
        pairs = _list(of, "pairs", where, "pairs of texts", _is_pair)
        facts.append((question, tuple((a, b) for a, b in pairs)))
    if unknown := set(table) - {*TEXTS, *PARTS, "facts"}:
        raise ConfigError(f"{where}: {min(unknown)}: no such field; allowed: {', '.join((*TEXTS, *PARTS, 'facts'))}")
    return Language(where=where, facts=tuple(facts), **texts, **parts)  # type: ignore[arg-type]


def text(table: dict[str, Any], name: str, where: str) -> str:
    """A text of a table that is not empty; raises ConfigError."""
    value = table.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: {name} = {quoted(value)}: allowed: text")
    return value


def _list(table: dict[str, Any], name: str, where: str, kind: str, check: Any) -> list[Any]:
    value = table.get(name)
    if not isinstance(value, list) or not value or not all(map(check, value)):
        raise ConfigError(f"{where}: {name} = {quoted(value)}: allowed: a list of {kind}")
    return value


def _is_pair(each: Any) -> bool:
    return isinstance(each, list) and len(each) == 2 and all(isinstance(part, str) and part for part in each)


def _fits(template: str, where: str, name: str, allowed: str, *places: int, **names: int) -> None:
    """Raises ConfigError unless a template uses all that is filled in, and nothing else."""
    marks = [f"\0{i}" for i in (*places, *names.values())]
    try:
        filled = template.format(*marks[: len(places)], **dict(zip(names, marks[len(places) :], strict=True)))
    except (LookupError, ValueError) as error:
        raise ConfigError(f"{where}: {name} = {quoted(template)}: allowed: {allowed}") from error
    if not all(mark in filled for mark in marks):
        raise ConfigError(f"{where}: {name} = {quoted(template)}: allowed: {allowed}")
