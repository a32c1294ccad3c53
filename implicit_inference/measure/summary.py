"""The answer in numbers: table rows -> the summary of result.json. Needs no network, no arrays, no GPU."""

import math
from typing import Any

import numpy as np

from implicit_inference.config.errors import counted, named, quoted
from implicit_inference.config.fields import Config
from implicit_inference.measure import attribution
from implicit_inference.measure.formulas import Values, positions, recovered_fraction
from implicit_inference.measure.lookup import (
    NETWORKS,
    RANGES,
    Losses,
    estimated,
    fraction,
    predicted_recovery,
    prior_odds,
    recovery_of,
)
from implicit_inference.runs.store import Row, Run, StoreError, interpreted

SECTIONS = {"loss", "recovery", "controls", "effective_prior", "attribution", "gate", "ranking"}


def summary_of(run: Run) -> dict[str, Any]:
    """The stored summary of a finished probe. Raises StoreError unless it has the shape of one of the probe's table."""
    result = run.read_json("result.json")
    summary = result.get("summary") if isinstance(result, dict) else None
    if not isinstance(summary, dict):
        raise StoreError(
            f"{run.path('result.json')}: holds no summary; delete {run.directory} and run its command again"
        )
    if missing := SECTIONS - summary.keys():
        raise StoreError(
            f"{run.id}: was measured before {', '.join(sorted(missing))} existed; delete {run.directory} and run its "
            "command again (training is kept)"
        )
    config, rows = run.config(), run.read_table("table.parquet")
    with interpreted(run.path("table.parquet")):
        expected = summarise(rows, config)
    with interpreted(run.path("result.json")):
        _refuse_other_shape("summary", summary, expected)
    return summary


def _refuse_other_shape(name: str, found: Any, expected: Any) -> None:
    """Raises ValueError for the first part that is missing, left over or of another kind; numbers may differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        if odd := sorted(found.keys() ^ expected.keys()):
            raise ValueError(f"{name}.{named(odd[0])} is {'missing' if odd[0] in expected else 'left over'}")
        for key, value in expected.items():
            _refuse_other_shape(f"{name}.{key}", found[key], value)
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for i, (item, value) in enumerate(zip(found, expected, strict=True)):
            _refuse_other_shape(f"{name}[{i}]", item, value)
    elif _kind(found) != _kind(expected):
        raise ValueError(f"{name} is {quoted(found)}")


def _kind(value: Any) -> type:
    """The type of a plain value; whole numbers are numbers, too."""
    return float if type(value) is int else type(value)


def summarise(rows: list[Row], config: Config) -> dict[str, Any]:
    """Losses, forgetting, recovery, controls, and where the capability went; each with mean and stderr over seeds."""
    losses = Losses(rows, config)
    return _finite(
        {
            "positions": {where: _described(where, config) for where in RANGES},
            "loss": {family: _loss(losses, family) for family in config.families},
            "excess": {family: _excess(losses, family) for family in ("discrete", "gaussian")},
            "forgetting": _ranges(losses, losses("finetuned") - losses("pretrained")),
            "gain": _gain(losses, "finetuning" if "finetuning" in config.families else "discrete"),
            "recovery": _recovery(losses),
            "controls": _controls(losses),
            "effective_prior": _effective_prior(rows),
            "attribution": attribution.attributed(rows, config),
            "gate": attribution.gated(rows, losses.chosen("early")),
            "ranking": attribution.ranked(rows, config),
        }
    )


def _loss(losses: Losses, family: str) -> dict[str, Any]:
    return {name: _ranges(losses, losses(name, family)) for name in losses.predictors()}


def _excess(losses: Losses, family: str) -> dict[str, Any]:
    """Loss above exact Bayes for this family of prompts: ridge, or the discrete posterior."""
    exact = losses("ridge" if family == "gaussian" else "discrete_posterior", family)
    return {name: _ranges(losses, losses(name, family) - exact) for name in NETWORKS}


def _gain(losses: Losses, family: str) -> dict[str, Any]:
    """The fall of the loss on prompts of the set that fine-tuning shows."""
    return _ranges(losses, losses("pretrained", family) - losses("finetuned", family))


def _recovery(losses: Losses) -> dict[str, Any]:
    """At the chosen label scale of each range; at every scale; and, at the early choice, at every position."""
    before, after = losses("pretrained"), losses("finetuned")
    shrunk = losses("finetuned", conjugation="shrink_only")
    summary: dict[str, Any] = {"conjugation": "label_scale", "positions": "early"}
    for where in RANGES:
        scale = losses.chosen(where)
        moved, moved_before = losses.scaled("finetuned", scale), losses.scaled("pretrained", scale)
        summary[where] = {"strength": scale} | fraction(recovery_of(losses, where, moved))
        summary[where]["above_shrink_only"] = fraction(recovery_of(losses, where, after - (shrunk - moved)))
        summary[where]["net_of_pretrained"] = fraction(recovery_of(losses, where, before + moved - moved_before))
    summary |= {key: value for key, value in summary["early"].items() if isinstance(value, float | str | None)}
    summary["by_strength"] = {
        f"{g:g}": {where: fraction(recovery_of(losses, where, losses.scaled("finetuned", g))) for where in RANGES}
        | {"predicted": {where: fraction(predicted_recovery(losses, where, g)) for where in RANGES}}
        for g in losses.strengths("label_scale")
    }
    for entry in summary["by_strength"].values():
        entry |= entry["early"]
    scale = summary["strength"]
    parts = (before, after, losses.scaled("finetuned", scale))
    summary["by_position"] = [
        {"position": k, "strength": scale} | fraction(recovered_fraction(*(part[:, k] for part in parts)))
        for k in range(losses.length)
    ]
    return summary


def _controls(losses: Losses) -> dict[str, Any]:
    """Label scaling of networks that forgot nothing or never knew, and shrinking without moving the prompt.

    `conjugated`: at the scale chosen for the fine-tuned network; `best`: at the scale chosen for each itself.
    """
    controls: dict[str, Any] = {}
    for name in NETWORKS:
        controls[name] = {}
        for where in RANGES:
            plain = losses.averaged(losses(name), where)
            moved = losses.averaged(losses.scaled(name, losses.chosen(where)), where)
            own = losses.chosen(where, name)
            best = losses.averaged(losses.scaled(name, own), where)
            controls[name][where] = {
                "loss": estimated(plain),
                "conjugated": estimated(moved),
                "change": estimated(moved - plain),
                "best": {"strength": own} | estimated(best),
            }
    shrunk = losses("finetuned", conjugation="shrink_only")
    controls["shrink_only"] = {"positions": "early"} | fraction(recovery_of(losses, "early", shrunk))
    for where in RANGES:
        loss = estimated(losses.averaged(shrunk, where))
        controls["shrink_only"][where] = fraction(recovery_of(losses, where, shrunk)) | {"loss": loss}
    return controls


def _effective_prior(rows: list[Row]) -> dict[str, Any]:
    def values(*of: str) -> Values:
        return np.array([row["mean"] for row in rows if (row["quantity"], row["predictor"]) == of])

    return {
        name: {
            "logit": prior_odds(values("prior_logit", name), values("prior_bound", name)),
            "residual": estimated(values("prior_residual", name)),
        }
        for name in ("pretrained", "finetuned")
    }


def _ranges(losses: Losses, values: Values) -> dict[str, Any]:
    """The average over all positions but the empty context, then over the ranges apart."""
    parts = {where: estimated(losses.averaged(values, where)) for where in RANGES}
    return parts["all"] | parts


def _described(where: str, config: Config) -> str:
    chosen = positions(where, config.tasks.dim, config.prompts.length)
    first, last = chosen.start, chosen.stop - 1
    return f"{first}..{last} exemplars" if last > first else counted(first, "exemplar")


def _finite(value: Any) -> Any:
    """Puts null for numbers that are not finite: JSON has none."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
