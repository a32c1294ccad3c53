"""Squared error as a proper score: E (f - y)^2 - E (m - y)^2 = E (m - f)^2 for the exact mean m of y."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implicit_inference.bayes.attribution import one_shape
from implicit_inference.worlds import Score

TINY = np.finfo(np.float64).tiny


def squared(a: Any, b: Any) -> Any:
    """(a - b)^2, of arrays of NumPy or JAX."""
    return (a - b) ** 2


def shrinkage(predictions: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """The factor 1/c, for each seed and position [S, K], for which predictions / c [S, prompts, K] are closest.

    Predictions that are 0 throughout have factor 0; one nan among them or the targets, or no prompts, give nan. Raises
    ValueError if the shapes differ.
    """
    one_shape(predictions=predictions, targets=targets)
    if not predictions.shape[1]:
        return np.full((predictions.shape[0], *predictions.shape[2:]), np.nan)
    return np.sum(predictions * targets, axis=1) / np.maximum(np.sum(predictions**2, axis=1), TINY)


def shrunk(predictions: NDArray[np.float64], truth: NDArray[np.float64]) -> Callable[[Any], Any]:
    """The map f -> f / c with the best c for each seed and position of predictions [S, prompts, K]."""
    factor = shrinkage(predictions, truth)[:, None]
    return lambda f: factor * f


SQUARED_ERROR = Score(loss=squared, divergence=squared, shrink=shrunk)
