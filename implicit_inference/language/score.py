"""Cross-entropy as a proper score, in nats: E loss(f, y) - E loss(m, y) = KL(m, f), m the exact mean of y's one-hot."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from implicit_inference.worlds import Score

LEAST = 1e-12
"""The least probability whose logarithm is taken: float32 networks round smaller ones to 0."""
POWERS = (0.0, 1.5)
"""The range of powers in which the control looks for the best one."""
HALVINGS = 16


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
    """The best power, for each seed and position, of predictions [S, prompts, K, V], normalised; 0 stays 0.

    It is the control that leaves the prompt alone. The cross-entropy of a power p, mean log sum f^p - p mean sum truth
    log f over prompts, is convex in p: where it falls, the best power is larger.
    """
    logs = np.log(np.maximum(predictions, LEAST))
    aim = (truth * logs).sum(axis=-1).mean(axis=1)

    def raised(f: Any, logs: Any, power: Any) -> Any:
        powers = np.exp(power[:, None, :, None] * logs) * (f > 0)
        return powers / powers.sum(axis=-1, keepdims=True)

    low, high = (np.full(aim.shape, end) for end in POWERS)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        falls = (raised(predictions, logs, middle) * logs).sum(axis=-1).mean(axis=1) < aim
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
    best = (low + high) / 2
    return lambda f: raised(f, np.log(np.maximum(f, LEAST)), best)


def nearest(numbers: Any) -> Any:
    """Cuts numbers [..., V] off at 0 and normalises them: a probability again."""
    positive = np.maximum(numbers, LEAST)
    return positive / positive.sum(axis=-1, keepdims=True)


def accuracy(predictions: Any, truth: Any) -> Any:
    """1 where the likeliest word is the likeliest one in truth, else 0, of probabilities [..., V]."""
    return (predictions.argmax(axis=-1) == truth.argmax(axis=-1)) * 1.0


CROSS_ENTROPY = Score(loss=cross_entropy, divergence=divergence, shrink=flattened, mean=nearest)
