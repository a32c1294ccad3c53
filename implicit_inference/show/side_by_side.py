"""Runs side by side: what differs in their configurations, where the numbers come from."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from typing import Any

from implicit_inference.config.changes import fields_of
from implicit_inference.config.fields import Config
from implicit_inference.config.stages import STAGES
from implicit_inference.runs.store import Run, interpreted
from implicit_inference.show.notation import Notation


def field_values(config: Config) -> dict[str, str]:
    """Every field's path and its value as text."""
    values = {}
    for path in fields_of(config.world):
        place: Any = asdict(config)
        for name in path.split("."):
            place = place[name]
        values[path] = ", ".join(map(_text, place)) or "none" if isinstance(place, tuple | list) else _text(place)
    return values


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def side_by_side(configs: list[Config]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """({path: a value for each config} of the fields that differ, {path: value} of those that all share)."""
    columns = [field_values(config) for config in configs]
    paths = dict.fromkeys(path for column in columns for path in column)
    differing = {path: [column.get(path, "") for column in columns] for path in paths}
    shared = {path: values[0] for path, values in differing.items() if len(set(values)) == 1}
    return {path: values for path, values in differing.items() if path not in shared}, shared


def set_apart(configs: list[Config]) -> dict[str, list[str]]:
    """{path: a value for each config} of what tells runs apart: their worlds, and what differs within a world.

    A field that the world of a run does not have is "" there.
    """

    def tells(values: list[str]) -> bool:
        pairs = {(config.world, value) for config, value in zip(configs, values, strict=True)}
        return len(pairs) > len({config.world for config in configs})

    differing, _ = side_by_side(configs)
    return {path: values for path, values in differing.items() if path == "world" or tells(values)}


def names_of(configs: list[Config]) -> list[str]:
    """A letter for each run, and what sets it apart: `A: finetune.steps = 100`."""
    apart = set_apart(configs)
    names = []
    for i, config in enumerate(configs):
        fields = [
            f"{Notation.of(config).symbol(path)} = {values[i]}" for path, values in apart.items() if values[i] != ""
        ]
        names.append(f"{letter(i)}: {', '.join(fields)}" if fields else letter(i))
    return names


def loss_of(configs: list[Config]) -> str:
    """Names the loss of the runs; for runs of several worlds, that of each."""
    losses = {config.world: Notation.of(config).loss for config in configs}
    if len(losses) == 1:
        return losses.popitem()[1]
    return "; ".join(f"{world}: {loss}" for world, loss in losses.items())


def fields(configs: list[Config], paths: Iterable[str]) -> dict[str, str]:
    """{path: how the page calls it}, in the notation of a world that has it: `d (tasks.dim)`."""
    known = {path: Notation.of(config) for config in configs for path in fields_of(config.world)}
    return {path: known[path].field(path) for path in paths}


def letter(index: int) -> str:
    """A, B, … Z, AA, AB, …"""
    return (letter(index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


def provenance(runs: list[Run]) -> list[dict[str, Any]]:
    """Every stage behind the runs, each once: its id, the runs that rest on it, its parents and its environment."""
    behind = [(stage, letter(i)) for i, run in enumerate(runs) for stage in (*run.parents(), run)]
    order = list(STAGES)
    behind.sort(key=lambda pair: (order.index(pair[0].stage), pair[0].id))
    return [
        {
            "id": stage.id,
            "letters": ", ".join(label for _, label in group),
            "parents": ", ".join(stage.info()["parents"]),
            "environment": _environment_of(stage),
        }
        for stage, group in groupby(behind, key=lambda pair: pair[0])
    ]


def _environment_of(stage: Run) -> dict[str, Any]:
    """Reads the environment of a stage, as the page tells it. Raises StoreError for an env.json of another shape."""
    found = stage.read_json("env.json")
    with interpreted(stage.path("env.json")):
        return {
            "commit": str(found["git_commit"] or "unknown")[:10],
            "jax": str(found["versions"]["jax"]),
            "python": str(found["python"]),
            "devices": str(found["devices"]),
            "time": f"{found['wall_seconds']:.1f} s{', resumed' * bool(found['resumed'])}",
            "all": json.dumps(found, indent=2),
        }
