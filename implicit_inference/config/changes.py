"""Configurations: presets, and changes by field, from mappings and from TOML.

No jax here: a wrong value is refused before anything slow is imported.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import cache, reduce
from pathlib import Path
from typing import Any, get_type_hints

import tomli_w

from implicit_inference.config.checks import check_together, checked
from implicit_inference.config.errors import ConfigError, named, quoted, refuse
from implicit_inference.config.fields import Config
from implicit_inference.config.toml import read_toml
from implicit_inference.worlds import WORLDS, described

PRESETS: dict[str, Config] = {name: preset for world in WORLDS for name, preset in described(world).presets.items()}


def base(world: str = next(iter(WORLDS))) -> Config:
    """The configuration of a world with every field at its default."""
    found: Config = described(world).base
    return found


@cache
def fields_of(world: str) -> dict[str, tuple[Any, Field[Any]]]:
    """{path: (type, field)} of every knob of a world's configurations, sections before the dot."""
    return dict(_fields_below(base(world), ""))


def _fields_below(section: Any, prefix: str) -> Iterator[tuple[str, tuple[Any, Field[Any]]]]:
    types = get_type_hints(type(section))
    for f in fields(section):
        if is_dataclass(part := getattr(section, f.name)):
            yield from _fields_below(part, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, (types[f.name], f)


def changed_fields(changes: Mapping[Any, Any], world: str) -> dict[str, Any]:
    """{path: value in its one form} of `changes`, a nested mapping or one with dotted paths; each field by itself.

    Raises ConfigError for a field that the world's configurations lack, a field named twice, a wrong type or a value
    out of range, and for another world: a configuration stays in its own.
    """
    known, found = fields_of(world), dict[str, Any]()
    sections = {path.rpartition(".")[0] for path in known} - {""}
    for path, value in leaves(changes):
        if path in sections and isinstance(value, Mapping):
            continue  # an empty section changes nothing
        if path not in known:
            close = get_close_matches(path[:100], known, n=1, cutoff=0)[0]
            raise ConfigError(f"{named(path)} = {quoted(value)}: no such field; did you mean {close}?")
        if path in found:
            refuse(path, value, "one value; it is given twice")
        found[path] = checked(path, *known[path], value)
    if found.get("world", world) != world:
        refuse("world", found["world"], f"{world!r}, where the other fields are from; start from a preset of another")
    return found


def override(config: Config, changes: Mapping[Any, Any], sections: set[str] | None = None) -> Config:
    """The config with `changes`, a nested mapping or one with dotted paths.

    Raises ConfigError for an unknown field, a wrong type, a value out of range, or values that do not go together;
    if `sections` are given, of these alone.
    """
    return changed(config, changed_fields(changes, config.world), sections)


def changed(config: Config, values: Mapping[str, Any], sections: set[str] | None = None) -> Config:
    """The config with the `values` of `changed_fields`; raises ConfigError if they do not go together."""
    for path, value in values.items():
        config = _with(config, path.split("."), tuple(value) if isinstance(value, list) else value)
    check_together(config, sections)
    return config


def _with(section: Any, path: list[str], value: Any) -> Any:
    name, *below = path
    return replace(section, **{name: _with(getattr(section, name), below, value) if below else value})


def valid(config: Config, sections: set[str]) -> Config:
    """Brings a configuration into its one form.

    Raises ConfigError for a value out of range anywhere, or for values of these `sections` that do not go together.
    """
    return override(base(config.world), asdict(config), sections)


def value_of(config: Config, path: str) -> Any:
    """The value of a field by its path, lists as lists."""
    value: Any = reduce(getattr, path.split("."), config)
    return list(value) if isinstance(value, tuple) else value


def start_of(path: Path, preset: Config) -> Config:
    """The configuration that a TOML file changes: the preset, or the base of the world that the file names instead.

    Raises ConfigError, which names the file, for a world that is not there.
    """
    world = read_toml(path).get("world", preset.world)
    if not isinstance(world, str) or world not in WORLDS:
        raise ConfigError(f"{named(path)}: world = {quoted(world)}: allowed: {', '.join(WORLDS)}")
    return preset if world == preset.world else base(world)


def changes_in(path: Path, world: str) -> dict[str, Any]:
    """The fields that a TOML file names, by path; raises ConfigError, which names the file."""
    tables = read_toml(path)
    try:
        return changed_fields(tables, world)
    except ConfigError as error:
        raise ConfigError(f"{named(path)}: {error}") from error


def to_toml(config: Config) -> str:
    """The canonical text: every field, sections in order."""
    return tomli_w.dumps(plain(config))


DEEPEST = 4
"""Tables within tables; sections have fewer."""


def plain(value: Any) -> Any:
    """Nested dicts and lists, as TOML and JSON have them."""
    if isinstance(value, str | int):
        return value
    return list(value) if isinstance(value, tuple) else json.loads(json.dumps(asdict(value)))


def leaves(changes: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of everything that is no table; of empty tables too, and of those deeper than any section."""
    for name, value in changes.items():
        if isinstance(value, Mapping) and value and prefix.count(".") < DEEPEST:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
