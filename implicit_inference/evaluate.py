"""Predictors x prompts x conjugations -> rows of one tidy table, on the same prompts for every predictor."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from implicit_inference.metrics import Values
from implicit_inference.parallel import over_seeds

Row = dict[str, Any]


class PackedEvaluator:
    """Evaluates predictors of many seeds at once: every leaf of a predictor has a leading seed axis [S].

    Predictors are pytrees, so those of one structure share one compiled program, whatever the conjugation.
    """

    def __init__(self, mesh: Mesh):
        self._predict = over_seeds(lambda predictor, prompts: predictor(prompts), mesh)
        self._apply = over_seeds(lambda conjugation, prompts: conjugation.apply(prompts), mesh)
        self._undo = over_seeds(lambda conjugation, predictions, prompts: conjugation.undo(predictions, prompts), mesh)

    def predict(self, predictor: Any, conjugation: Any, prompts: Any) -> jax.Array:
        """Conjugated predictions [S, prompts, K]."""
        moved = self._apply(conjugation, prompts)
        return self._undo(conjugation, self._predict(predictor, moved), prompts)


def position_rows(errors: Values, seeds: tuple[int, ...], **labels: Any) -> list[Row]:
    """One row for each seed and position from squared errors [S, prompts, K]; stderr is over prompts."""
    n = errors.shape[1]
    means, stderrs = errors.mean(axis=1), errors.std(axis=1, ddof=1) / np.sqrt(n)
    return [
        labels | {"seed": seed, "position": k, "n": n, "mean": float(means[s, k]), "stderr": float(stderrs[s, k])}
        for s, seed in enumerate(seeds)
        for k in range(errors.shape[2])
    ]


def binned_rows(
    errors: Values, coordinate: Values, edges: tuple[float, ...], seeds: tuple[int, ...], **labels: Any
) -> list[Row]:
    """One row for each seed and bin of `coordinate` [S, prompts, K]: the mean of the errors of the same shape.

    Bin b is [edges[b-1], edges[b]), open at both ends; bins with fewer than two errors have no row. stderr takes
    the positions of a prompt as independent.
    """
    rows = []
    for seed, error, where in zip(seeds, errors, np.digitize(coordinate, edges), strict=True):
        for b in range(len(edges) + 1):
            inside = error[where == b]
            if inside.size > 1:
                numbers = {"mean": float(inside.mean()), "stderr": float(inside.std(ddof=1) / np.sqrt(inside.size))}
                rows.append(labels | {"seed": seed, "bin": b, "n": inside.size} | numbers)
    return rows
