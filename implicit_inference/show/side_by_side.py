"""Runs side by side: what differs in their configurations, results as flat rows, where the numbers come from."""

import json
from dataclasses import asdict
from itertools import groupby
from typing import Any

from implicit_inference.config.changes import fields_of
from implicit_inference.config.fields import Config
from implicit_inference.measure.lookup import NETWORKS, RANGES, Losses, estimated
from implicit_inference.runs.store import Run, interpreted
from implicit_inference.show import notation

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
    differing = {path: [column[path] for column in columns] for path in columns[0]}
    shared = {path: values[0] for path, values in differing.items() if len(set(values)) == 1}
    return {path: values for path, values in differing.items() if path not in shared}, shared


def names_of(configs: list[Config]) -> list[str]:
    """A letter for each run, and what sets it apart: `A: finetune.steps = 100`."""
    differing, _ = side_by_side(configs)
    fields = [f"{notation.SYMBOLS.get(path, path)} = " for path in differing]
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


def result_rows(losses: Losses, summary: dict[str, Any]) -> list[Cells]:
    """The results of a probe as flat rows of text: `COLUMNS`, numbers as mean ± standard error over seeds."""
    rows = [
        _row("loss", family, name, "identity", None, _by_range(losses, losses(name, family)))
        for family in summary["loss"]
        for name in losses.predictors()
    ]
    rows += [
        _row("loss", "gaussian", name, *case, _by_range(losses, losses(name, "gaussian", *case)))
        for case in losses.conjugations()
        for name in (*NETWORKS, "bayes_effective_finetuned")
        if case[0] not in ("identity", "shrink_only")
    ]
    shrunk = {name: losses(name, "gaussian", "shrink_only") for name in NETWORKS}
    rows += [
        _row("loss", "gaussian", name, "shrink_only", None, _by_range(losses, loss)) for name, loss in shrunk.items()
    ]
    shown = "finetuning" if "finetuning" in summary["loss"] else "discrete"
    rows.append(_row("forgetting", "gaussian", "finetuned", "identity", None, summary["forgetting"]))
    rows.append(_row("gain", shown, "finetuned", "identity", None, summary["gain"]))
    for scale, found in summary["recovery"]["by_strength"].items():
        rows.append(_row("recovered fraction", "gaussian", "finetuned", "label_scale", float(scale), found))
        rows.append(
            _row("recovered, predicted", "gaussian", "bayes_effective", "label_scale", float(scale), found["predicted"])
        )
    attribution = summary["attribution"]
    for part in ("inference_shift", "capability_loss", "share"):
        values = {where: attribution[where][part] for where in RANGES}
        label = "inference shift / forgetting" if part == "share" else part.replace("_", " ")
        rows.append(_row(label, "gaussian", "finetuned", "identity", None, values))
    for name, prior in summary["effective_prior"].items():
        rows.append(_row("effective prior, log odds", "both", name, "identity", None, {"all": prior["logit"]}))
        rows.append(_row("effective prior, residual", "both", name, "identity", None, {"all": prior["residual"]}))
    for theory, by in (("by_loss", "its loss"), ("by_odds", "moved odds")):
        values = {where: summary["ranking"][where][theory]["kendall"] for where in RANGES}
        rows.append(
            (f"Kendall's τ, ranking by {by}", "Gaussian", notation.predictor("finetuned"), "all", *_texts(values))
        )
    return rows


def _row(
    quantity: str, family: str, predictor: str, conjugation: str, strength: float | None, values: dict[str, Any]
) -> Cells:
    names = (notation.family(family), notation.predictor(predictor), notation.conjugation(conjugation, strength))
    return (quantity, *names, *_texts(values))


def _texts(values: dict[str, Any]) -> Cells:
    return tuple(notation.estimate(values[where]) if where in values else "" for where in RANGES)


def _by_range(losses: Losses, values: Any) -> dict[str, Any]:
    return {where: estimated(losses.averaged(values, where)) for where in RANGES}


def provenance(runs: list[Run]) -> list[dict[str, Any]]:
    """Every stage behind the runs, each once: its id, the runs that rest on it, its parents and its environment."""
    behind = [(stage, letter(i)) for i, run in enumerate(runs) for stage in (*run.parents(), run)]
    order = ("pretrain", "scratch", "finetune", "probe")
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
