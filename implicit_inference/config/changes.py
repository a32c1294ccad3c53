"""Configurations: presets, and changes by field, from mappings and from TOML.

No jax here: a wrong value is refused before anything slow is imported.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from typing import Any, get_type_hints

import cattrs
import tomli_w

from implicit_inference.config.checks import check_together, checked, refuse
from implicit_inference.config.errors import ConfigError, named, quoted
from implicit_inference.config.fields import (
    FINETUNE,
    STEER,
    TUNE,
    Config,
    LessonConfig,
    ModelConfig,
    ProbeConfig,
    PromptsConfig,
    TasksConfig,
    TrainingConfig,
)
from implicit_inference.config.toml import read_toml

PRESETS = {
    "smoke": Config(
        seeds=(0, 1),
        tasks=TasksConfig(dim=2, n_discrete=3),
        prompts=PromptsConfig(length=8),
        model=ModelConfig(layers=2),
        pretrain=TrainingConfig(steps=600, warmup=50),
        finetune=replace(FINETUNE, steps=200, learning_rate=3e-4),
        lesson=LessonConfig(prompts=1024),
        student=replace(FINETUNE, steps=200, learning_rate=3e-4),
        tune=replace(TUNE, steps=200),
        steer=replace(STEER, steps=200, learning_rate=3e-4),
        probe=ProbeConfig(prompts=512, scratch_steps=600),
    ),
    "demo": Config(pretrain=TrainingConfig(learning_rate=1e-2)),
    "paper": Config(
        seeds=(0, 1, 2, 3),
        tasks=TasksConfig(dim=20, n_discrete=64),
        prompts=PromptsConfig(length=41, tokens="interleaved"),
        model=ModelConfig(width=256, layers=12, heads=8, compute_dtype="bfloat16"),
        pretrain=TrainingConfig(
            steps=5000, target="label", optimizer="adam", learning_rate=1e-4, warmup=0, final_fraction=1.0
        ),
        finetune=replace(FINETUNE, learning_rate=1e-4, warmup=0, final_fraction=1.0),
        lesson=LessonConfig(prompts=25_600),
        student=replace(FINETUNE, learning_rate=1e-4, warmup=0, final_fraction=1.0),
        tune=replace(TUNE, learning_rate=1e-3, warmup=0, final_fraction=1.0),
        steer=replace(STEER, learning_rate=1e-4, warmup=0, final_fraction=1.0),
        probe=ProbeConfig(scratch_steps=5000),
    ),
}


def fields_of(kind: type, prefix: str = "") -> Iterator[tuple[str, Any, Field[Any]]]:
    """(path, type, field) of every knob below a config class, sections before the dot."""
    types = get_type_hints(kind)
    for f in fields(kind):
        if is_dataclass(types[f.name]):
            yield from fields_of(types[f.name], f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, types[f.name], f


FIELDS = {path: (kind, f) for path, kind, f in fields_of(Config)}
SECTIONS = {path.rpartition(".")[0] for path in FIELDS} - {""}


def changed_fields(changes: Mapping[Any, Any]) -> dict[str, Any]:
    """{path: value in its one form} of `changes`, a nested mapping or one with dotted paths; each field by itself.

    Raises ConfigError for an unknown field, a field named twice, a wrong type or a value out of range.
    """
    found: dict[str, Any] = {}
    for path, value in leaves(changes):
        if path in SECTIONS and isinstance(value, Mapping):
            continue  # an empty section changes nothing
        if path not in FIELDS:
            close = get_close_matches(path[:100], FIELDS, n=1, cutoff=0)[0]
            raise ConfigError(f"{named(path)} = {quoted(value)}: no such field; did you mean {close}?")
        if path in found:
            refuse(path, value, "one value; it is given twice")
        found[path] = checked(path, *FIELDS[path], value)
    return found


def override(config: Config, changes: Mapping[Any, Any], sections: set[str] | None = None) -> Config:
    """The config with `changes`, a nested mapping or one with dotted paths.

    Raises ConfigError for an unknown field, a wrong type, a value out of range, or values that do not go together;
    if `sections` are given, of these alone.
    """
    return changed(config, changed_fields(changes), sections)


def changed(config: Config, values: Mapping[str, Any], sections: set[str] | None = None) -> Config:
    """The config with the `values` of `changed_fields`; raises ConfigError if they do not go together."""
    tables = plain(config)
    for path, value in values.items():
        *above, name = path.split(".")
        place = tables
        for section in above:
            place = place[section]
        place[name] = value
    config = _converter.structure(tables, Config)
    check_together(config, sections)
    return config


def valid(config: Config, sections: set[str]) -> Config:
    """Brings a configuration into its one form.

    Raises ConfigError for a value out of range anywhere, or for values of these `sections` that do not go together.
    """
    return override(Config(), asdict(config), sections)


def value_of(config: Config, path: str) -> Any:
    """The value of a field by its path, lists as lists."""
    value: Any = reduce(getattr, path.split("."), config)
    return list(value) if isinstance(value, tuple) else value


def changes_in(path: Path) -> dict[str, Any]:
    """The fields that a TOML file names, by path; raises ConfigError, which names the file."""
    tables = read_toml(path)
    try:
        return changed_fields(tables)
    except ConfigError as error:
        raise ConfigError(f"{named(path)}: {error}") from error


def to_toml(config: Config) -> str:
    """The canonical text: every field, sections in order."""
    return tomli_w.dumps(plain(config))


DEEPEST = 4
"""Tables within tables; sections have fewer."""

_converter = cattrs.Converter(forbid_extra_keys=True)


def plain(value: Any) -> Any:
    """Nested dicts and lists, as TOML and JSON have them."""
    return list(value) if isinstance(value, tuple) else json.loads(json.dumps(asdict(value)))


def leaves(changes: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of everything that is no table; of empty tables too, and of those deeper than any section."""
    for name, value in changes.items():
        if isinstance(value, Mapping) and value and prefix.count(".") < DEEPEST:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
