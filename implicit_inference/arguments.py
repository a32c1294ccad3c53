"""How the text of the command line becomes values."""

import re
from collections.abc import Sequence
from typing import Any, get_origin


def joined(arguments: Sequence[str]) -> list[str]:
    """Writes `--flag -1,2` as `--flag=-1,2`: argparse takes a list that begins with a minus for another flag."""
    joined: list[str] = []
    for argument in arguments:
        if re.match(r"-[\d.]", argument) and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def value_of(kind: Any, text: str) -> Any:
    """Reads the value that a flag gives: numbers, lists of them with or without brackets, and other text as it is."""
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
