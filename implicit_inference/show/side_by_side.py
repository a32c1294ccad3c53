"""Runs side by side: what differs in their configurations, results as flat rows, where the numbers come from."""

import json
from dataclasses import asdict
from itertools import groupby
from typing import Any

from implicit_inference.config.changes import fields_of
from implicit_inference.config.fields import Config
from implicit_inference.config.stages import STAGES
from implicit_inference.measure.formulas import RANGES
from implicit_inference.measure.lookup import IDENTITY, SHRUNK, Case, Table, estimated
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
"""The columns of `result_records`."""


PARTS = {
    "on_line": "rise of the distance on the line",
    "off_line": "rise of the distance off the line",
    "share": "on the line / whole rise",
    "odds": "of the account: by the odds",
    "weight": "of the account: by the weight of evidence",
}
"""Part of the attribution -> its name"""


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
        for name in (*table.networks, *table.controls[1:], f"bayes_effective_{after}"):
            add_loss(world.forgotten, name, case)
    for name in table.networks:
        add_loss(world.forgotten, name, SHRUNK)
    add("forgetting", world.forgotten, after, IDENTITY, summary["forgetting"])
    add("gain", world.gain_family(table.config), after, IDENTITY, summary["gain"])
    for strength, found in summary["recovery"]["by_strength"].items():
        case = (world.dial, float(strength))
        add("recovered fraction", world.forgotten, after, case, found)
        add("recovered, predicted", world.forgotten, "bayes_effective", case, found["predicted"])
    for i, found in enumerate(summary["conjugations"]["all"]):
        entries = {where: summary["conjugations"][where][i] for where in RANGES}
        case = (found["conjugation"], found["strength"])
        add("net recovery", world.forgotten, after, case, {w: entry["net"] for w, entry in entries.items()})
        add("gap of the gates closed", world.forgotten, after, case, {w: e["gate_closed"] for w, e in entries.items()})
        for name in found["controls"]:
            add("net recovery", world.forgotten, name, case, {w: e["controls"][name] for w, e in entries.items()})
        for name in found["predicted"]:
            values = {w: entry["predicted"][name] for w, entry in entries.items()}
            add("net recovery, predicted", world.forgotten, name, case, values)
    for part, label in PARTS.items():
        values = {where: summary["attribution"][where][part] for where in RANGES}
        add(label, world.forgotten, after, IDENTITY, values)
    for name in summary["accounts"]["all"]:
        fits = {where: summary["accounts"][where][name] for where in RANGES}
        add("R² of an account", world.forgotten, name, IDENTITY, {w: fit["r2"] for w, fit in fits.items()})
        add("forgetting that it says", world.forgotten, name, IDENTITY, {w: f["forgetting"] for w, f in fits.items()})
        for number in fits["all"]["numbers"]:
            for when in ("before", "after"):
                values = {w: fit["numbers"][number][when] for w, fit in fits.items()}
                add(f"{number}, {when}", "both", name, IDENTITY, values)
        for number in ("slope", "r2"):
            values = {where: summary["calibration"][where][name][number] for where in RANGES}
            label = {"slope": "slope", "r2": "R²"}[number]
            add(f"{label} of measured on predicted net recovery", world.forgotten, name, ("all", None), values)
    for name, prior in summary["effective_prior"].items():
        add("effective prior, log odds", "both", name, IDENTITY, {"all": prior["logit"]})
        add("effective prior, residual", "both", name, IDENTITY, {"all": prior["residual"]})
    return records


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
