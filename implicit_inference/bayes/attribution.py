"""Parts of a distance, and the names of accounts of a fine-tuning. No jax: whoever reads a table asks, too."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

GATE_EDGES = (-32.0, -16.0, -8.0, -4.0, -2.0, 0.0, 2.0, 4.0, 8.0)
"""Bin edges of the log evidence ratio of a prompt's past, the preferred family against the forgotten one."""

CONSTANT_PULL = "constant_pull"
"""The null among accounts of a fine-tuning: the prediction moves by c_k (first - second), whatever the evidence."""

ACCOUNTS = {"prior_shift": ("odds",), "prior_and_weight": ("odds", "weight"), "lapse": ("odds", "lapse")}
"""account of a fine-tuning -> its numbers; see `bayes.accounts`"""


class Attribution(NamedTuple):
    """The distance of predictions from the exact ones of a family, in two parts >= 0 that add up to it.

    on_line: of the nearest mixture of the two families' exact predictions, one weight for each cell of predictions;
    task inference, in the wide sense. off_line: the rest, which no weights explain; a change of the capability.
    """

    on_line: Any
    off_line: Any


def shapley(value: Callable[[Any, Any], Any], before: tuple[Any, Any], after: tuple[Any, Any]) -> tuple[Any, Any]:
    """Splits value(*after) - value(*before) between two arguments that changed (Shapley 1953); the parts add up.

    Each argument has the mean of the rises that its change makes, with the other one as before and as after.
    """
    (a, b), (x, y) = before, after
    neither, first, second, both = value(a, b), value(x, b), value(a, y), value(x, y)
    return (first - neither + both - second) / 2, (second - neither + both - first) / 2


def one_shape(**arrays: Any) -> None:
    """Raises ValueError, which names the arrays, unless they have one shape."""
    shapes = {name: np.shape(values) for name, values in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"one shape is expected, not {', '.join(f'{s} of {name}' for name, s in shapes.items())}")
