"""Flags: every field of a configuration as text, and what the text says. No jax here."""

import argparse
import math
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, get_origin

from implicit_inference.config import changes as configs
from implicit_inference.config.errors import ConfigError, quoted
from implicit_inference.worlds import WORLDS


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors and exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


class FieldParser(Parser):
    """A parser whose commands have flags for fields: it tells the nearest one of a flag that is not there."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: --([^\s=]+)", message)
        close = get_close_matches(unknown[1].replace("-", "_"), _fields(), 1) if unknown else []
        super().error(f"{message}; did you mean --{close[0].replace('_', '-')}?" if close else message)


def joined(arguments: Sequence[str]) -> list[str]:
    """Writes flags as the parser has them: `--flag -1,2` as `--flag=-1,2`, `--tasks.n_discrete` with a hyphen.

    argparse takes a list that begins with a minus for another flag, and fields have underscores elsewhere.
    """
    joined: list[str] = []
    for argument in arguments:
        if argument.startswith("--"):
            flag, equals, value = argument.partition("=")
            argument = flag.replace("_", "-") + equals + value
        if re.match(r"-[\d.]", argument) and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def add_fields(sub: Parser, preset: str | None, which: str) -> None:
    """Adds --preset, which is `preset` (`which`, in words) unless given, --config, and a flag for every field."""
    presets = list(configs.PRESETS)
    sub.add_argument("--preset", choices=presets, default=preset, help=f"where to start (default: {which})")
    sub.add_argument("--config", type=Path, metavar="FILE.toml", help="fields that differ from the preset")
    group = sub.add_argument_group("fields (see `presets` for each preset's; lists with commas: 1,2)")
    for path, (_, field) in _fields().items():
        flag = "--" + path.replace("_", "-")
        group.add_argument(flag, dest=path, metavar="VALUE", default=argparse.SUPPRESS, help=field.metadata["about"])


def _fields() -> dict[str, Any]:
    """{path: (type, field)} of the fields of every world."""
    return {path: found for world in reversed(WORLDS) for path, found in configs.fields_of(world).items()}


def changes(options: argparse.Namespace, world: str) -> dict[str, Any]:
    """{path: value} of the fields of a world given in --config and, rather, as flags; raises ConfigError."""
    from_file = configs.changes_in(options.config, world) if options.config else {}
    given = {path: _value(kind, getattr(options, path)) for path, (kind, _) in _fields().items() if path in options}
    return from_file | configs.changed_fields(given, world)


def _value(kind: Any, text: str) -> Any:
    """The value that a flag gives: numbers, lists of them with or without brackets, and other text as it is."""
    if get_origin(kind) is not tuple:
        return _number(text)
    inside = text.strip()
    inside = inside[1:-1] if inside[:1] + inside[-1:] == "[]" else inside
    return [_number(part.strip()) for part in inside.split(",")] if inside.strip() else []


def _number(text: str) -> int | float | str:
    """The text as a number, if it is one; a whole number of many digits stays text, which no field allows."""
    if re.fullmatch(r"[+-]?[0-9]{1,400}", text):
        return int(text)
    decimal = r"[+-]?([0-9]{1,400}\.?[0-9]{,400}|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?"
    return float(text) if re.fullmatch(decimal, text) else text


def whole(name: str) -> Callable[[str], int]:
    """The type of a flag that is a whole number >= 1."""

    def parsed(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1):
            raise ConfigError(f"{name} = {quoted(text)}: allowed: a whole number >= 1")
        return int(text)

    return parsed


def number(name: str, most: float, zero: bool = False) -> Callable[[str], float]:
    """The type of a flag that is a number above 0, or from 0 on, and at most `most`."""

    def parsed(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (0 <= value <= most if zero else 0 < value <= most):
            raise ConfigError(f"{name} = {quoted(text)}: allowed: {'>=' if zero else '>'} 0, at most {most:g}")
        return value

    return parsed
