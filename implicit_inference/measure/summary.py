"""The answer in numbers: table rows -> the summary of result.json. Needs no network, no arrays, no GPU."""

from typing import Any

from implicit_inference.bayes.attribution import CONSTANT_PULL
from implicit_inference.config.errors import counted, named, quoted
from implicit_inference.config.fields import Config
from implicit_inference.measure import attribution
from implicit_inference.measure.formulas import RANGES, Values, recovered_fraction, recovery_above
from implicit_inference.measure.lookup import (
    IDENTITY,
    SHRUNK,
    Table,
    estimated,
    finite,
    fraction,
    prior_odds,
)
from implicit_inference.runs.store import Record, Run, StoreError, interpreted

PARTS = {
    "loss",
    "recovery",
    "controls",
    "effective_prior",
    "attribution",
    "accounts",
    "gate",
    "conjugations",
    "calibration",
}


def summary_of(run: Run) -> dict[str, Any]:
    """The stored summary of a finished probe. Raises StoreError unless it has the shape of one of the probe's table."""
    result = run.read_json("result.json")
    summary = result.get("summary") if isinstance(result, dict) else None
    if not isinstance(summary, dict):
        raise StoreError(
            f"{run.path('result.json')}: holds no summary; delete {run.directory} and run its command again"
        )
    if missing := PARTS - summary.keys():
        raise StoreError(
            f"{run.id}: was measured before {', '.join(sorted(missing))} existed; delete {run.directory} and run its "
            "command again (training is kept)"
        )
    config, records = run.config(), run.read_table("table.parquet")
    with interpreted(run.path("table.parquet")):
        expected = summarise(records, config)
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
    elif isinstance(found, list) and isinstance(expected, list):
        if len(found) != len(expected):
            raise ValueError(f"{name} has length {len(found)}, not {len(expected)}")
        for i, (item, value) in enumerate(zip(found, expected, strict=True)):
            _refuse_other_shape(f"{name}[{i}]", item, value)
    elif _kind(found) != _kind(expected):
        raise ValueError(f"{name} is {quoted(found)}")


def _kind(value: Any) -> type:
    """The type of a plain value; whole numbers are numbers, too."""
    return float if type(value) is int else type(value)


def summarise(records: list[Record], config: Config) -> dict[str, Any]:
    """Losses, forgetting, recovery, controls, and where the capability went; each with mean and stderr over seeds."""
    table = Table(records, config)
    world, after = table.world, table.curve(table.after)
    found = {
        "positions": {where: _exemplars(table, where) for where in RANGES},
        "loss": {family: _losses(table, family) for family in config.families},
        "excess": {family: _excess(table, family) for family in world.families},
        "forgetting": _ranges(table, after - table.curve(table.before)),
        "gain": _gain(table, world.gain_family(config)),
        "recovery": _recovery(table),
        "controls": _controls(table),
        "effective_prior": {name: _effective_prior(table, name) for name in (table.before, table.after)},
        "attribution": attribution.attributed(table),
        "accounts": attribution.accounted(table),
        "gate": attribution.gated(table, table.chosen("early")),
        "conjugations": attribution.conjugated(table),
        "calibration": attribution.calibrated(table),
    }
    plain: dict[str, Any] = finite(found)
    return plain


def _losses(table: Table, family: str) -> dict[str, Any]:
    return {name: _ranges(table, table.curve(name, family)) for name in table.predictors()}


def _excess(table: Table, family: str) -> dict[str, Any]:
    """Loss above the exact predictor of this family of prompts."""
    exact = table.curve(table.world.exact[family], family)
    return {name: _ranges(table, table.curve(name, family) - exact) for name in table.networks}


def _gain(table: Table, family: str) -> dict[str, Any]:
    """The fall of the loss on prompts of the set that fine-tuning shows."""
    return _ranges(table, table.curve(table.before, family) - table.curve(table.after, family))


def _recovery(table: Table) -> dict[str, Any]:
    """At the chosen strength of the dial in each range; at every strength; and, at the early choice, by position."""
    summary: dict[str, Any] = {"conjugation": table.world.dial, "positions": "early"}
    for where in RANGES:
        strength = table.chosen(where)
        case = table.on_dial(strength)
        pairs = ((name, of) for of in (IDENTITY, SHRUNK, case) for name in (table.before, table.after))
        losses = [table.averaged(table.curve(name, case=of), where) for name, of in pairs]
        summary[where] = {"strength": strength} | fraction(recovered_fraction(losses[0], losses[1], losses[-1]))
        summary[where]["above_shrink_only"] = fraction(recovery_above(*losses))
        summary[where]["net_of_pretrained"] = fraction(table.net(where, case))
        summary[where]["net_by_null"] = fraction(attribution.predicted_net(table, CONSTANT_PULL, where, case))
        summary[where]["gate_closed"] = fraction(attribution.gate_closed(table, where, case))
    summary |= {key: value for key, value in summary["early"].items() if isinstance(value, float | str | None)}
    summary["by_strength"] = {}
    for g in (g for g in table.strengths() if (table.world.dial, g) in table.cases()):
        conjugated = table.curve(table.after, case=table.on_dial(g))
        entry: dict[str, Any] = {where: fraction(table.recovered(where, conjugated)) for where in RANGES}
        entry["predicted"] = {where: fraction(table.predicted(where, g)) for where in RANGES}
        entry["net"] = {where: fraction(table.net(where, table.on_dial(g))) for where in RANGES}
        summary["by_strength"][f"{g:g}"] = entry | entry["early"]
    strength = summary["strength"]
    parts = (*table.forgetting_of(table.networks), table.curve(table.after, case=table.on_dial(strength)))
    summary["by_position"] = [
        {"position": k, "strength": strength} | fraction(recovered_fraction(*(part[:, k] for part in parts)))
        for k in range(table.length)
    ]
    return summary


def _controls(table: Table) -> dict[str, Any]:
    """The dial on networks that forgot nothing or never knew, and the best map that leaves the prompt alone.

    `conjugated`: at the strength chosen for the network after; `best`: at the strength chosen for each itself; `net`:
    what the chosen strength brings back of the gap to the network before, net of what it does to that one.
    """
    controls: dict[str, Any] = {}
    for name in dict.fromkeys((*table.networks, *table.controls)):
        controls[name] = {}
        for where in RANGES:
            best_strength = table.chosen(where, name)
            cases = (IDENTITY, table.on_dial(table.chosen(where)), table.on_dial(best_strength))
            plain, conjugated, best = (table.averaged(table.curve(name, case=case), where) for case in cases)
            controls[name][where] = {
                "loss": estimated(plain),
                "conjugated": estimated(conjugated),
                "change": estimated(conjugated - plain),
                "best": {"strength": best_strength} | estimated(best),
            }
            if name != table.before:
                controls[name][where]["net"] = fraction(table.net(where, table.on_dial(table.chosen(where)), name))
    shrunk = table.curve(table.after, case=SHRUNK)
    controls["shrink_only"] = {"positions": "early"} | fraction(table.recovered("early", shrunk))
    for where in RANGES:
        loss = estimated(table.averaged(shrunk, where))
        controls["shrink_only"][where] = fraction(table.recovered(where, shrunk)) | {"loss": loss}
    return controls


def _effective_prior(table: Table, name: str) -> dict[str, Any]:
    logit, bound, residual = (
        table.values(quantity=f"prior_{of}", predictor=name) for of in ("logit", "bound", "residual")
    )
    return {"logit": prior_odds(logit, bound), "residual": estimated(residual)}


def _ranges(table: Table, values: Values) -> dict[str, Any]:
    """The average over all positions but the empty context, then over the ranges apart."""
    parts = {where: estimated(table.averaged(values, where)) for where in RANGES}
    return parts["all"] | parts


def _exemplars(table: Table, where: str) -> str:
    chosen = table.range(where)
    first, last = chosen.start, chosen.stop - 1
    return f"{first}..{last} exemplars" if last > first else counted(first, "exemplar")
