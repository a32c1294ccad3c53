"""What experiments measure with: a lab's predictors on shared held-out prompts, and rows of one value a seed."""

from collections.abc import Callable, Iterable
from functools import cache, cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference.config import FAMILIES
from implicit_inference.metrics import Estimate, Values, over_seeds, positions
from implicit_inference.regression.bayes import bayes_predictor
from implicit_inference.regression.conjugate import Identity
from implicit_inference.regression.effective import effective_prior, shifted_prior
from implicit_inference.regression.prompts import Batch, Predictor, Prompts
from implicit_inference.regression.tasks import TaskDistribution
from implicit_inference.rows import Row
from implicit_inference.run import Lab
from implicit_inference.world import draw_tasks, held_out

TasksOf = Callable[[Array], TaskDistribution]
"""seed -> a task distribution"""


class Bench:
    """A lab's predictors, each packed over seeds, and its held-out prompts: the same ones for every predictor."""

    def __init__(self, lab: Lab):
        self.lab, self.config = lab, lab.config
        self.noise_std = jnp.asarray(lab.config.tasks.noise_std)
        self.batch = cache(self._batch)

    def _batch(self, family: str, split: str = "report") -> Batch:
        """Held-out prompts of a family: `report` to report on, `choice` to choose strengths and fit priors on."""
        n = self.config.probe.prompts
        return self.per_seed(lambda seed: held_out(self.config, seed, f"probe {split}", family, n))

    def per_seed(self, function: Callable[[Array], Any]) -> Any:
        """The function of a seed for every seed, packed."""
        return self.lab.over_seeds(function)(self.lab.seeds)

    def network(self, stage: str, step: int | None = None) -> Predictor:
        """The network after a stage, or in its course."""
        return self.lab.network(self.lab.params_of(stage, step))

    def exact(self, tasks: TasksOf) -> Predictor:
        """Exact Bayes under a prior."""
        return self.per_seed(lambda seed: bayes_predictor(tasks(seed), self.noise_std))

    @cached_property
    def ridge(self) -> Predictor:
        return self.exact(lambda seed: draw_tasks(self.config, seed)["gaussian"])

    @cached_property
    def discrete_posterior(self) -> Predictor:
        return self.exact(lambda seed: draw_tasks(self.config, seed)["discrete"])

    def predictions(self, predictor: Predictor, batch: Batch, conjugation: Any = None) -> Values:
        """[S, prompts, K]; the conjugation is packed over seeds."""
        moved = self.lab.packed(Identity()) if conjugation is None else conjugation
        return np.asarray(self.lab.evaluator.predict(predictor, moved, batch.prompts), np.float64)

    def errors(self, predictor: Predictor, batch: Batch, conjugation: Any = None) -> Values:
        """Noise-free squared errors [S, prompts, K]."""
        return (self.predictions(predictor, batch, conjugation) - np.asarray(batch.clean_labels, np.float64)) ** 2

    def loss(self, predictor: Predictor, family: str, conjugation: Any = None, split: str = "report") -> Values:
        """The mean of the errors over prompts [S, K]."""
        return self.errors(predictor, self.batch(family, split), conjugation).mean(axis=1)

    def averaged(self, values: Values, where: str) -> Values:
        """[S]: the mean over a range of positions (early, late or all) of values [S, K]."""
        return values[:, positions(where, self.config.tasks.dim, self.config.prompts.length)].mean(axis=1)

    def effective(self, predictor: Predictor) -> tuple[Values, Values, Predictor]:
        """(logit [S], residual [S], ideal learner): the prior odds at which exact Bayes best imitates a predictor."""
        predicted = jnp.asarray(np.concatenate([self.predictions(predictor, b) for b in self._both], axis=1))
        logits, residuals, ideal = self._fit(self.lab.seeds, *(b.prompts for b in self._both), predicted)
        return np.asarray(logits, np.float64), np.asarray(residuals, np.float64), ideal

    @cached_property
    def _both(self) -> list[Batch]:
        return [self.batch(family, "choice") for family in FAMILIES]

    @cached_property
    def _fit(self) -> Callable[..., tuple[Array, Array, Predictor]]:
        def fit(seed: Array, first: Prompts, second: Prompts, predictions: Array) -> tuple[Array, Array, Predictor]:
            prompts = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second)
            discrete, gaussian = draw_tasks(self.config, seed).values()
            logit, residual = effective_prior(predictions, discrete, gaussian, prompts, self.noise_std)
            return logit, residual, bayes_predictor(shifted_prior(discrete, gaussian, logit), self.noise_std)

        return self.lab.over_seeds(fit)

    def rows(self, values: Values, **labels: Any) -> list[Row]:
        """A row for each seed of values [S]."""
        size = {"n": self.config.probe.prompts}
        return [
            labels | {"seed": seed, "value": float(v)} | size for seed, v in zip(self.config.seeds, values, strict=True)
        ]

    def estimate(self, estimate: Estimate | None, **labels: Any) -> Row:
        """One row for all seeds, for what is no mean over seeds, such as a ratio; empty where it is undefined."""
        found = estimate or Estimate(float("nan"), float("nan"))
        numbers = {"mean": found.mean, "stderr": found.stderr, "seeds": len(self.config.seeds)}
        return labels | numbers | {"n": self.config.probe.prompts}


NUMBERS = ("seed", "value", "mean", "stderr", "seeds")


def reduced(rows: Iterable[Row]) -> list[Row]:
    """Mean and standard error over seeds of rows with one value a seed, grouped by all else; other rows as they are."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        labels = tuple((name, value) for name, value in row.items() if name not in NUMBERS)
        groups.setdefault(labels, []).append(row)
    table = []
    for labels, members in groups.items():
        if "value" not in members[0]:
            table += members
            continue
        found = over_seeds(np.array([row["value"] for row in members]))
        table.append(dict(labels) | {"mean": found.mean, "stderr": found.stderr, "seeds": len(members)})
    return table
