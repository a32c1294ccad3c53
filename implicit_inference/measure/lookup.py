"""A table, looked up: losses by seed and position, ranges of positions, the strength that was chosen."""

import itertools
from typing import Any

import numpy as np

from implicit_inference.config.fields import Config
from implicit_inference.measure.formulas import Estimate, Values, over_seeds, positions, recovered_fraction
from implicit_inference.runs.store import Row

RANGES = ("all", "early", "late")
NETWORKS = ("pretrained", "finetuned", "scratch")
Curves = dict[tuple[str, str], tuple[list[int], Values]]
"""(family, predictor) -> (steps, losses [seeds, steps])"""
UNDEFINED = "the forgetting is not significantly positive over the seeds (two or more)"


class Losses:
    """One quantity of a table by position, looked up as arrays [seeds, positions] of means over prompts."""

    def __init__(self, rows: list[Row], config: Config, quantity: str = "squared_error"):
        self.dim, self.length, self.seeds = config.tasks.dim, config.prompts.length, config.seeds
        self._cells: dict[tuple[Any, ...], Values] = {}
        for row in rows:
            if row["quantity"] == quantity and row["position"] is not None:
                key = tuple(row[name] for name in ("split", "prompts", "predictor", "conjugation", "strength"))
                shape = (len(self.seeds), self.length)
                cell = self._cells.setdefault(key, np.full(shape, np.nan))
                cell[self.seeds.index(row["seed"]), row["position"]] = row["mean"]

    def __call__(
        self,
        predictor: str | None,
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
        return values[:, self.range(where)].mean(axis=1)

    def range(self, where: str) -> slice:
        """The positions of early, late or all."""
        return positions(where, self.dim, self.length)

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


def while_training(rows: list[Row]) -> Curves:
    """Looks up the losses of a stage in its course, by family and predictor; every seed has every step."""
    found = {}
    for key in itertools.product(("gaussian", "discrete"), ("network", "bayes")):
        chosen = [r for r in rows if (r["prompts"], r["predictor"]) == key]
        steps, seeds = sorted({r["step"] for r in chosen}), sorted({r["seed"] for r in chosen})
        by_step = {(r["step"], r["seed"]): r["mean"] for r in chosen}
        found[key] = steps, np.stack([np.array([by_step[step, seed] for step in steps], float) for seed in seeds])
    return found


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


def estimated(values: Values) -> dict[str, Any]:
    """The mean and standard error over seeds [S], as JSON has them."""
    return as_json(over_seeds(values))


def prior_odds(logits: Values, bounds: Values) -> dict[str, Any]:
    """The mean, standard error, median and range of log odds [S], of which some may have no limit (`bounds` not 0)."""
    numbers = {"median": np.median(logits), "lowest": np.min(logits), "highest": np.max(logits)}
    counts = {"unlimited": int(np.count_nonzero(bounds)), "seeds": len(logits)}
    return estimated(logits) | {name: float(value) for name, value in numbers.items()} | counts


def as_json(estimate: Estimate) -> dict[str, Any]:
    return {"mean": estimate.mean, "stderr": estimate.stderr}


def fraction(estimate: Estimate | None) -> dict[str, Any]:
    """A fraction of the forgetting as JSON has it; it may be undefined."""
    return {"mean": None, "stderr": None, "undefined": UNDEFINED} if estimate is None else as_json(estimate)
