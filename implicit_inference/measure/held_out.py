"""An exam: a lab's predictors, each packed over seeds, answer the same held-out prompts."""

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference.measure.formulas import Estimate, Values, positions, shrinkage
from implicit_inference.measure.rows import estimate_row, seed_rows
from implicit_inference.regression.conjugations import Identity
from implicit_inference.regression.predictive import bayes_predictor
from implicit_inference.regression.prompts import Batch, Predictor
from implicit_inference.regression.tasks import TaskDistribution
from implicit_inference.regression.world import draw_tasks, held_out
from implicit_inference.runs.store import Row
from implicit_inference.training.loop import Lab

TasksOf = Callable[[Array], TaskDistribution]
"""seed -> a task distribution"""


class Exam:
    """The held-out prompts of a lab, who can answer them, and how far off the answers are."""

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

    def network(self, stage: str, step: int | None = None, control: int | None = None) -> Predictor:
        """The network after a stage, or in its course; under a control, if it has any."""
        return self.lab.network(self.lab.params_of(stage, step), control)

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

    def shrunk_errors(self, predictor: Predictor, family: str) -> Values:
        """Noise-free squared errors [S, prompts, K] of predictions / c, the prompt left alone.

        c is the best one for each seed and position, fitted to the truth of the `choice` prompts: this favours the
        control over any one strength.
        """
        predictions, truth = {}, {}
        for split in ("choice", "report"):
            batch = self.batch(family, split)
            predictions[split] = self.predictions(predictor, batch)
            truth[split] = np.asarray(batch.clean_labels, np.float64)
        factor = shrinkage(predictions["choice"], truth["choice"])[:, None]
        return (factor * predictions["report"] - truth["report"]) ** 2

    def loss(self, predictor: Predictor, family: str, conjugation: Any = None, split: str = "report") -> Values:
        """The mean of the errors over prompts [S, K]."""
        return self.errors(predictor, self.batch(family, split), conjugation).mean(axis=1)

    def averaged(self, values: Values, where: str) -> Values:
        """[S]: the mean over a range of positions (early, late or all) of values [S, K]."""
        return values[:, positions(where, self.config.tasks.dim, self.config.prompts.length)].mean(axis=1)

    def rows(self, values: Values, **labels: Any) -> list[Row]:
        """A row for each seed of values [S]."""
        return seed_rows(values, self.config.seeds, **labels, n=self.config.probe.prompts)

    def estimate(self, estimate: Estimate | None, **labels: Any) -> Row:
        """One row for all seeds, for what is no mean over seeds, such as a ratio; empty where it is undefined."""
        return estimate_row(estimate, self.config.seeds, **labels, n=self.config.probe.prompts)
