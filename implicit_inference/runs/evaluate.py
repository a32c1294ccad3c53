"""Predictors x conjugations on shared prompts -> predictions, for packed seeds."""

from typing import Any

import jax
from jax.sharding import Mesh

from implicit_inference.runs.devices import over_seeds


class PackedEvaluator:
    """Evaluates predictors of many seeds at once: every leaf of a predictor has a leading seed axis [S].

    Predictors are pytrees, so those of one structure share one compiled program, whatever the conjugation.
    """

    def __init__(self, mesh: Mesh):
        self._predict = over_seeds(lambda predictor, prompts: predictor(prompts), mesh)
        self._apply = over_seeds(lambda conjugation, prompts: conjugation.apply(prompts), mesh)
        self._undo = over_seeds(lambda conjugation, predictions, prompts: conjugation.undo(predictions, prompts), mesh)

    def moved(self, conjugation: Any, prompts: Any) -> Any:
        """The prompts as they are shown."""
        return self._apply(conjugation, prompts)

    def predict(self, predictor: Any, conjugation: Any, prompts: Any) -> jax.Array:
        """Predictions [S, prompts, K, *event], conjugated unless `conjugation` is None."""
        if conjugation is None:
            return self._predict(predictor, prompts)
        moved = self.moved(conjugation, prompts)
        return self._undo(conjugation, self._predict(predictor, moved), prompts)
