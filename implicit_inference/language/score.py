"""Cross-entropy as a proper score, in nats: E loss(f, y) - E loss(m, y) = KL(m, f), m the exact mean of y's one-hot."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from implicit_inference.worlds import Score

LEAST = 1e-12
"""The least probability whose logarithm is taken: float32 networks round smaller ones to 0."""
POWERS = tuple(np.linspace(0.0, 1.5, 31))


def _module(array: Any) -> Any:
    """NumPy for its own arrays, JAX's NumPy for others."""
    return np if isinstance(array, np.ndarray) else jnp


def cross_entropy(predictions: Any, targets: Any) -> Any:
    """-sum targets log predictions, both probabilities [..., V]."""
    xp = _module(predictions)
    return -xp.sum(targets * xp.log(xp.maximum(predictions, LEAST)), axis=-1)


def divergence(means: Any, predictions: Any) -> Any:
    """KL(means, predictions) of probabilities [..., V]; a mean of 0 adds nothing."""
    xp = _module(means)
    ratio = xp.log(xp.maximum(means, LEAST)) - xp.log(xp.maximum(predictions, LEAST))
    return xp.sum(means * ratio, axis=-1)


def flattened(predictions: Any, truth: Any) -> Callable[[Any], Any]:
    """The best power of the predictions, normalised: the control that leaves the prompt alone."""

    def to(power: float) -> Callable[[Any], Any]:
        def flat(f: Any) -> Any:
            raised = np.maximum(f, LEAST) ** power
            return raised / raised.sum(axis=-1, keepdims=True)

        return flat

    return to(min(POWERS, key=lambda power: float(cross_entropy(to(power)(predictions), truth).mean())))


def nearest(numbers: Any) -> Any:
    """Cuts numbers [..., V] off at 0 and normalises them: a probability again."""
    positive = np.maximum(numbers, LEAST)
    return positive / positive.sum(axis=-1, keepdims=True)


def accuracy(predictions: Any, truth: Any) -> Any:
    """1 where the likeliest word is the likeliest one in truth, else 0, of probabilities [..., V]."""
    return (predictions.argmax(axis=-1) == truth.argmax(axis=-1)) * 1.0


def lost(predictions: Any, truth: Any) -> Any:
    """The probability that goes to words which the truth never has: those of other languages."""
    return (predictions * (truth == 0)).sum(axis=-1)


CROSS_ENTROPY = Score(loss=cross_entropy, divergence=divergence, shrink=flattened, mean=nearest)
