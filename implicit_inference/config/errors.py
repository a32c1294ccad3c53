"""Mistakes that a user can mend: one printable line each, and how foreign text is quoted in it."""

from typing import Any, NoReturn

LONGEST_QUOTE = 60
LONGEST_LINE = 270


class UserError(Exception):
    """A mistake that the user can mend; its text is one line that says how."""

    exit_code = 2


class ConfigError(UserError):
    """A wrong configuration: its text names the field, the value and what is allowed."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, taken as Ctrl-C is: what is done is kept, and the process ends."""


def quoted(value: Any) -> str:
    """Writes a value of any kind and size as Python would, on one line, shortened to LONGEST_QUOTE characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers of thousands of digits; lists nested too deep
        text = f"a {type(value).__name__} too large to print"
    return shortened(text, LONGEST_QUOTE)


def named(key: Any) -> str:
    """Writes the name of a field or a file as it is if it can be printed, else as `quoted`."""
    text = str(key)
    return shortened(text, LONGEST_QUOTE) if text.isprintable() else quoted(text)


def one_line(message: str) -> str:
    """Makes any message one printable line of at most LONGEST_LINE characters."""
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
    return shortened(printable, LONGEST_LINE)


def shortened(text: str, most: int) -> str:
    """Leaves out the middle of a text longer than `most` characters."""
    if len(text) <= most:
        return text
    head = most * 2 // 3
    return f"{text[:head]}…{text[head + 1 - most :]}"


def refuse(path: str, value: Any, allowed: str) -> NoReturn:
    """Raises ConfigError with the field, the value and what is allowed."""
    raise ConfigError(f"{path} = {quoted(value)}: allowed: {allowed}")


def counted(number: int, noun: str) -> str:
    """`1, "seed"` -> `1 seed`; `4, "seed"` -> `4 seeds`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
