"""Runs side by side: what differs in their configurations, results as flat rows, where the numbers come from."""

import json
from dataclasses import asdict
from itertools import groupby
from typing import Any

from implicit_inference.config.changes import fields_of
from implicit_inference.config.fields import Config
from implicit_inference.config.stages import STAGES
from implicit_inference.measure.lookup import IDENTITY, RANGES, SHRUNK, Case, Table, estimated
from implicit_inference.runs.store import Run, interpreted
from implicit_inference.show.notation import Notation, estimate

Cells = tuple[str, ...]


def field_values(config: Config) -> dict[str, str]:
    """Every field's path and its value as text."""
    values = {}
    for path in fields_of(config.world):
        place: Any = asdict(config)
        for name in path.split("."):
            place = place[name]
        values[path] = ", ".join(map(_text, place)) if isinstance(place, tuple | list) else _text(place)
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


def names_of(configs: list[Config]) -> list[str]:
    """A letter for each run, and what sets it apart: `A: finetune.steps = 100`."""
    differing, _ = side_by_side(configs)
    fields = [f"{Notation.of(configs[0]).symbol(path)} = " for path in differing]
    apart = [
        ", ".join(field + value for field, value in zip(fields, values, strict=True))
        for values in zip(*differing.values(), strict=True)
    ]
    return [f"{letter(i)}: {text}" for i, text in enumerate(apart)] or [letter(i) for i in range(len(configs))]


def letter(index: int) -> str:
    """A, B, … Z, AA, AB, …"""
    return (letter(index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


COLUMNS = ("quantity", "prompts", "predictor", "conjugation", *RANGES)
"""The columns of `result_rows`."""


def result_records(table: Table, summary: dict[str, Any]) -> list[Cells]:
    """The results of a probe as flat rows of text: `COLUMNS`, numbers as mean ± standard error over seeds."""
    names, world, after = Notation.of(table.config), table.world, table.after
    records: list[Cells] = []

    def add(quantity: str, family: str, predictor: str, case: Case, values: dict[str, Any]) -> None:
        label = "both" if family == "both" else names.family(family)
        texts = tuple(estimate(values[where]) if where in values else "" for where in RANGES)
        records.append((quantity, label, names.predictor(predictor), names.conjugation(*case), *texts))

    def add_loss(family: str, predictor: str, case: Case = IDENTITY) -> None:
        loss = table.curve(predictor, family, case)
        add("loss", family, predictor, case, {where: estimated(table.averaged(loss, where)) for where in RANGES})

    for family in summary["loss"]:
        for name in table.predictors():
            add_loss(family, name)
    for case in table.cases()[1:]:
        for name in (*table.networks, f"bayes_effective_{after}"):
            add_loss(world.forgotten, name, case)
    for name in table.networks:
        add_loss(world.forgotten, name, SHRUNK)
    add("forgetting", world.forgotten, after, IDENTITY, summary["forgetting"])
    add("gain", world.gain_family(table.config), after, IDENTITY, summary["gain"])
    for strength, found in summary["recovery"]["by_strength"].items():
        case = (world.dial, float(strength))
        add("recovered fraction", world.forgotten, after, case, found)
        add("recovered, predicted", world.forgotten, "bayes_effective", case, found["predicted"])
    for part in ("inference_shift", "capability_loss", "share"):
        values = {where: summary["attribution"][where][part] for where in RANGES}
        label = "inference shift / forgetting" if part == "share" else part.replace("_", " ")
        add(label, world.forgotten, after, IDENTITY, values)
    for name, prior in summary["effective_prior"].items():
        add("effective prior, log odds", "both", name, IDENTITY, {"all": prior["logit"]})
        add("effective prior, residual", "both", name, IDENTITY, {"all": prior["residual"]})
    for theory, by in (("by_loss", "its loss"), ("by_odds", "moved odds")):
        values = {where: summary["ranking"][where][theory]["kendall"] for where in RANGES}
        add(f"Kendall's τ, ranking by {by}", world.forgotten, after, ("all", None), values)
    return records


def provenance(runs: list[Run]) -> list[dict[str, Any]]:
    """Every stage behind the runs, each once: its id, the runs that rest on it, its parents and its environment."""
    behind = [(stage, letter(i)) for i, run in enumerate(runs) for stage in (*run.parents(), run)]
    order = list(STAGES)
    behind.sort(key=lambda pair: (order.index(pair[0].stage), pair[0].id))
    return [
        {
            "id": stage.id,
            "letters": ", ".join(each for _, each in group),
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
