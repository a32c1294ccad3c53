"""The answer in numbers: table rows -> the summary of result.json. Needs no network, no arrays, no GPU."""

import math
from typing import Any

import numpy as np

from implicit_inference.config import Config
from implicit_inference.metrics import Estimate, Values, over_seeds, positions, recovered_fraction
from implicit_inference.rows import Row

RANGES = ("all", "early", "late")
NETWORKS = ("pretrained", "finetuned", "scratch")
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

    def scaled(self, predictor: str, scale: float, split: str = "report") -> Values:
        """[seeds, positions] on Gaussian prompts under a label scale; 1 is the identity."""
        if scale == 1:
            return self(predictor, split=split)
        return self(predictor, conjugation="label_scale", strength=scale, split=split)

    def chosen(self, where: str, predictor: str = "finetuned") -> float:
        """The label scale, 1 among them, with the least loss on Gaussian prompts over the range, by `choice`."""

        def loss(scale: float) -> float:
            return float(self.averaged(self.scaled(predictor, scale, "choice"), where).mean())

        return min([1.0, *self.strengths("label_scale")], key=loss)


def summarise(rows: list[Row], config: Config) -> dict[str, Any]:
    """loss, excess, forgetting, gain, recovery, controls, effective prior; each with mean and stderr over seeds."""
    losses = Losses(rows, config)
    return _finite(
        {
            "positions": {where: _described(where, config) for where in RANGES},
            "loss": {family: _loss(losses, family) for family in ("discrete", "gaussian")},
            "excess": {family: _excess(losses, family) for family in ("discrete", "gaussian")},
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


def predicted_recovery(losses: Losses, where: str, scale: float) -> Estimate | None:
    """The recovered fraction of an ideal learner whose prior odds shift as the networks' effective ones do.

    Its own recovery over its own forgetting, which may be smaller than the network's: see `inference_shift`.
    """
    before, after = losses("bayes_effective_pretrained"), losses("bayes_effective_finetuned")
    parts = (before, after, losses.scaled("bayes_effective_finetuned", scale))
    return recovered_fraction(*(losses.averaged(part, where) for part in parts))


def _loss(losses: Losses, family: str) -> dict[str, Any]:
    return {name: _ranges(losses, losses(name, family)) for name in losses.predictors()}


def _excess(losses: Losses, family: str) -> dict[str, Any]:
    """Loss above exact Bayes for this family of prompts: ridge, or the discrete posterior."""
    exact = losses("ridge" if family == "gaussian" else "discrete_posterior", family)
    return {name: _ranges(losses, losses(name, family) - exact) for name in NETWORKS}


def _recovery(losses: Losses) -> dict[str, Any]:
    """At the chosen label scale of each range; at every scale; and, at the early choice, at every position."""
    before, after = losses("pretrained"), losses("finetuned")
    shrunk = losses("finetuned", conjugation="shrink_only")
    summary: dict[str, Any] = {"conjugation": "label_scale", "positions": "early"}
    for where in RANGES:
        scale = losses.chosen(where)
        moved, moved_before = losses.scaled("finetuned", scale), losses.scaled("pretrained", scale)
        summary[where] = {"strength": scale} | _fraction(recovery_of(losses, where, moved))
        summary[where]["above_shrink_only"] = _fraction(recovery_of(losses, where, after - (shrunk - moved)))
        summary[where]["net_of_pretrained"] = _fraction(recovery_of(losses, where, before + moved - moved_before))
        summary[where]["inference_shift"] = _fraction(_inference_shift(losses, where))
    summary |= {key: value for key, value in summary["early"].items() if isinstance(value, float | str | None)}
    summary["by_strength"] = {
        f"{g:g}": {where: _fraction(recovery_of(losses, where, losses.scaled("finetuned", g))) for where in RANGES}
        | {"predicted": {where: _fraction(predicted_recovery(losses, where, g)) for where in RANGES}}
        for g in losses.strengths("label_scale")
    }
    for entry in summary["by_strength"].values():
        entry |= entry["early"]
    scale = summary["strength"]
    parts = (before, after, losses.scaled("finetuned", scale))
    summary["by_position"] = [
        {"position": k, "strength": scale} | _fraction(recovered_fraction(*(part[:, k] for part in parts)))
        for k in range(losses.length)
    ]
    return summary


def _inference_shift(losses: Losses, where: str) -> Estimate | None:
    """The forgetting of the ideal learner with the effective priors, as a fraction of the network's."""
    shift = losses("bayes_effective_finetuned") - losses("bayes_effective_pretrained")
    return recovery_of(losses, where, losses("finetuned") - shift)


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
                "loss": _estimate(over_seeds(plain)),
                "conjugated": _estimate(over_seeds(moved)),
                "change": _estimate(over_seeds(moved - plain)),
                "best": {"strength": own} | _estimate(over_seeds(best)),
            }
    shrunk = losses("finetuned", conjugation="shrink_only")
    controls["shrink_only"] = {"positions": "early"} | _fraction(recovery_of(losses, "early", shrunk))
    for where in RANGES:
        loss = _estimate(over_seeds(losses.averaged(shrunk, where)))
        controls["shrink_only"][where] = _fraction(recovery_of(losses, where, shrunk)) | {"loss": loss}
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
        return {"mean": None, "stderr": None, "undefined": UNDEFINED}
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
