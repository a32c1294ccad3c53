"""Held-out prompts, answered by predictors that are packed over seeds, and how far off the answers are."""

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import numpy as np
from jax import Array

from implicit_inference.measure.formulas import Estimate, Values, positions
from implicit_inference.measure.records import estimate_record, seed_records
from implicit_inference.runs.store import Record
from implicit_inference.training.batches import held_out
from implicit_inference.training.loop import Trained
from implicit_inference.worlds import Predictor, Tasks, described

STREAMS = {"report": "probe report", "tuning": "probe choice"}
"""split of the held-out prompts -> its random stream"""

TasksOf = Callable[[Array], Tasks]
"""seed -> a task distribution"""


class HeldOut:
    """The held-out prompts of a configuration, who can answer them, and how far off the answers are."""

    def __init__(self, trained: Trained):
        self.trained, self.config, self.packed = trained, trained.config, trained.programs.packed
        self.world, self.described = trained.programs.world, described(trained.config.world)
        self.batch = cache(self._batch)

    def _batch(self, family: str, split: str = "report") -> Any:
        """Held-out prompts of a family: `report` to report on, `tuning` to choose strengths and fit priors on."""
        n = self.config.probe.prompts
        return self.packed.by_seed(lambda seed: held_out(self.config, seed, STREAMS[split], family, n))

    def exact(self, tasks: TasksOf) -> Predictor:
        """Exact Bayes under a prior."""
        return self.packed.by_seed(lambda seed: self.world.exact(tasks(seed)))

    @cached_property
    def preferred(self) -> Predictor:
        """Exact Bayes for the family that fine-tuning prefers."""
        return self.exact(lambda seed: self.world.families(seed)[self.described.preferred])

    @cached_property
    def forgotten(self) -> Predictor:
        """Exact Bayes for the family on which forgetting is measured."""
        return self.exact(lambda seed: self.world.families(seed)[self.described.forgotten])

    def predictions(self, predictor: Predictor, batch: Any, conjugation: Any = None) -> Values:
        """[S, prompts, K, *event]; the conjugation is packed over seeds."""
        return np.asarray(self.packed.predict(predictor, batch.prompts, conjugation), np.float64)

    def truth(self, batch: Any) -> Values:
        """[S, prompts, K, *event]"""
        return np.asarray(self.world.truth(batch), np.float64)

    def errors(self, predictor: Predictor, batch: Any, conjugation: Any = None) -> Values:
        """Losses against the truth [S, prompts, K]."""
        return self.world.score.loss(self.predictions(predictor, batch, conjugation), self.truth(batch))

    def shrunk_errors(self, predictor: Predictor, family: str) -> Values:
        """Losses [S, prompts, K] of the best map of the predictions that leaves the prompt alone.

        It is fitted to the truth of the `tuning` prompts: this favours the control over any one strength.
        """
        chosen, batch = self.batch(family, "tuning"), self.batch(family)
        shrink = self.world.score.shrink(self.predictions(predictor, chosen), self.truth(chosen))
        return self.world.score.loss(shrink(self.predictions(predictor, batch)), self.truth(batch))

    def loss(self, predictor: Predictor, family: str, conjugation: Any = None, split: str = "report") -> Values:
        """The mean of the errors over prompts [S, K]."""
        return self.errors(predictor, self.batch(family, split), conjugation).mean(axis=1)

    def averaged(self, values: Values, where: str) -> Values:
        """[S]: the mean over a range of positions (early, late or all) of values [S, K]."""
        return values[:, positions(where, self.described.early(self.config), self.config.prompts.length)].mean(axis=1)

    def records(self, values: Values, **labels: Any) -> list[Record]:
        """A row for each seed of values [S]."""
        return seed_records(values, self.config.seeds, **labels, n=self.config.probe.prompts)

    def estimate(self, estimate: Estimate | None, **labels: Any) -> Record:
        """One row for all seeds, for what is no mean over seeds, such as a ratio; empty where it is undefined."""
        return estimate_record(estimate, self.config.seeds, **labels, n=self.config.probe.prompts)
