"""The answer in numbers: table rows -> the summary of result.json. Needs no network, no arrays, no GPU."""

import math
from typing import Any

import numpy as np

from implicit_inference.config import Config
from implicit_inference.evaluate import Row
from implicit_inference.metrics import Estimate, Values, over_seeds, positions, ratio, recovered_fraction

RANGES = ("all", "early", "late")
UNDEFINED = "the forgetting is not significantly positive over the seeds (two or more)"


class Losses:
    """The squared errors of a table, looked up as arrays [seeds, positions] of means over prompts."""

    def __init__(self, rows: list[Row], config: Config):
        self.dim, self.length, self.seeds = config.tasks.dim, config.prompts.length, config.seeds
        self._cells: dict[tuple[Any, ...], Values] = {}
        for row in rows:
            if row["quantity"] == "squared_error" and row["position"] is not None:
                key = tuple(row[name] for name in ("split", "prompts", "predictor", "conjugation", "strength"))
                shape = (len(self.seeds), self.length)
                cell = self._cells.setdefault(key, np.full(shape, np.nan))
                cell[self.seeds.index(row["seed"]), row["position"]] = row["mean"]

    def __call__(
        self,
        predictor: str,
        prompts: str = "gaussian",
        conjugation: str = "identity",
        strength: float | None = None,
        split: str = "report",
    ) -> Values:
        """[seeds, positions]"""
        return self._cells[split, prompts, predictor, conjugation, strength]

    def predictors(self) -> list[str]:
        """Those evaluated as they are, in the order of the table."""
        return list(dict.fromkeys(key[2] for key in self._cells if key[0] == "report" and key[3] == "identity"))

    def strengths(self, conjugation: str) -> list[float]:
        """The strengths of a conjugation, ascending."""
        return sorted({key[4] for key in self._cells if key[3] == conjugation and key[4] is not None})

    def conjugations(self) -> list[tuple[str, float | None]]:
        """(name, strength) of all that every network was evaluated under, in the order of the table."""
        keys = [key for key in self._cells if key[:3] == ("report", "gaussian", "finetuned")]
        return [(key[3], key[4]) for key in keys]

    def averaged(self, values: Values, where: str) -> Values:
        """[seeds]: the average over a range of positions: early, late or all."""
        return values[:, positions(where, self.dim, self.length)].mean(axis=1)

    def chosen(self, where: str, predictor: str = "finetuned") -> float:
        """The label scale with the least loss on Gaussian prompts over the range, on the `choice` prompts."""

        def loss(strength: float) -> float:
            values = self(predictor, "gaussian", "label_scale", strength, split="choice")
            return float(self.averaged(values, where).mean())

        return min(self.strengths("label_scale"), key=loss)


def summarise(rows: list[Row], config: Config) -> dict[str, Any]:
    """loss, forgetting, gain, recovery, controls, effective prior; each with mean and stderr over seeds."""
    losses = Losses(rows, config)
    return _finite(
        {
            "positions": {where: _described(where, config) for where in RANGES},
            "loss": {family: _loss(losses, family) for family in ("discrete", "gaussian")},
            "forgetting": _ranges(losses, losses("finetuned") - losses("pretrained")),
            "gain": _ranges(losses, losses("pretrained", "discrete") - losses("finetuned", "discrete")),
            "recovery": _recovery(losses),
            "controls": _controls(losses),
            "effective_prior": _effective_prior(rows),
        }
    )


def recovery_of(losses: Losses, where: str, recovered: Values) -> Estimate | None:
    """The recovered fraction over a range of positions, from losses [seeds, positions] on Gaussian prompts."""
    parts = (losses("pretrained"), losses("finetuned"), recovered)
    return recovered_fraction(*(losses.averaged(part, where) for part in parts))


def predicted_recovery(losses: Losses, where: str, moved: Values) -> Estimate:
    """What exact Bayes with the effective priors before and after recovers, from its losses on moved prompts."""
    before, after = losses("bayes_effective_pretrained"), losses("bayes_effective_finetuned")
    return ratio(losses.averaged(after - moved, where), losses.averaged(after - before, where))


def _loss(losses: Losses, family: str) -> dict[str, Any]:
    return {name: _ranges(losses, losses(name, family)) for name in losses.predictors()}


def _recovery(losses: Losses) -> dict[str, Any]:
    scales = losses.strengths("label_scale")
    strength = {where: losses.chosen(where) for where in RANGES}
    moved = {g: losses("finetuned", conjugation="label_scale", strength=g) for g in scales}
    exact = {g: losses("bayes_effective_finetuned", conjugation="label_scale", strength=g) for g in scales}
    shrunk = losses("finetuned", conjugation="shrink_only")
    forgotten = losses("finetuned") - losses("pretrained")
    summary: dict[str, Any] = {"conjugation": "label_scale", "positions": "early", "strength": strength["early"]}
    summary |= _fraction(recovery_of(losses, "early", moved[strength["early"]]))
    for where in RANGES:
        best = moved[strength[where]]
        above = ratio(losses.averaged(shrunk - best, where), losses.averaged(forgotten, where))
        summary[where] = {"strength": strength[where]} | _fraction(recovery_of(losses, where, best))
        summary[where]["above_shrink_only"] = _estimate(above)
    summary["by_strength"] = {
        f"{g:g}": {where: _fraction(recovery_of(losses, where, moved[g])) for where in RANGES}
        | {"predicted": {where: _estimate(predicted_recovery(losses, where, exact[g])) for where in RANGES}}
        for g in scales
    }
    for entry in summary["by_strength"].values():
        entry |= entry["early"]
    best = moved[strength["early"]]
    parts = (losses("pretrained"), losses("finetuned"), best)
    summary["by_position"] = [
        {"position": k} | _fraction(recovered_fraction(*(part[:, k] for part in parts))) for k in range(losses.length)
    ]
    return summary


def _controls(losses: Losses) -> dict[str, Any]:
    """What the chosen label scale does to networks that forgot nothing or never knew, and shrinking without moving."""
    controls: dict[str, Any] = {}
    strength = {where: losses.chosen(where) for where in RANGES}
    for name in ("pretrained", "finetuned", "scratch"):
        controls[name] = {}
        for where in RANGES:
            plain = losses.averaged(losses(name), where)
            moved = losses(name, conjugation="label_scale", strength=strength[where])
            controls[name][where] = {
                "loss": _estimate(over_seeds(plain)),
                "conjugated": _estimate(over_seeds(losses.averaged(moved, where))),
                "change": _estimate(over_seeds(losses.averaged(moved, where) - plain)),
            }
    shrunk = losses("finetuned", conjugation="shrink_only")
    controls["shrink_only"] = {"positions": "early"} | _fraction(recovery_of(losses, "early", shrunk))
    controls["shrink_only"] |= {where: _fraction(recovery_of(losses, where, shrunk)) for where in RANGES}
    return controls


def _effective_prior(rows: list[Row]) -> dict[str, Any]:
    return {
        name: {
            quantity.removeprefix("prior_"): _estimate(
                over_seeds(np.array([r["mean"] for r in rows if (r["quantity"], r["predictor"]) == (quantity, name)]))
            )
            for quantity in ("prior_logit", "prior_residual")
        }
        for name in ("pretrained", "finetuned")
    }


def _ranges(losses: Losses, values: Values) -> dict[str, Any]:
    """The average over all positions but the empty context, then over the ranges apart."""
    parts = {where: _estimate(over_seeds(losses.averaged(values, where))) for where in RANGES}
    return parts["all"] | parts


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {"mean": estimate.mean, "stderr": estimate.stderr}


def _fraction(estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {
            "mean": None,
            "stderr": None,
            "undefined": "the forgetting is not significantly positive over the seeds (two or more)",
        }
    return _estimate(estimate)


def _described(where: str, config: Config) -> str:
    chosen = positions(where, config.tasks.dim, config.prompts.length)
    return f"{chosen.start}..{chosen.stop - 1} exemplars"


def _finite(value: Any) -> Any:
    """The same with null for numbers that are not finite: JSON has none."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
