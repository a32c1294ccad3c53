"""TOML tables, read from files that anybody may have written. No jax here."""

import tomllib
from pathlib import Path
from typing import Any

from implicit_inference.config.errors import ConfigError, named

LONGEST_FILE = 2**20


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises ConfigError."""
    try:
        with open(path, "rb") as file:
            text = file.read(LONGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{named(path)}: cannot be read ({error.strerror})") from error
    if len(text) > LONGEST_FILE:
        raise ConfigError(f"{named(path)}: is too large; allowed: at most {LONGEST_FILE} bytes")
    return parsed_toml(path, text)


def parsed_toml(path: Path, text: bytes) -> dict[str, Any]:
    """The tables of a file's text: UTF-8, with or without a byte-order mark. Raises ConfigError, which names it."""
    try:
        return tomllib.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # of the syntax, of UTF-8, of numbers and nesting without end
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        raise ConfigError(f"{named(path)}: not TOML ({reason})") from error
