"""Attribution of a forgetting: the part that a shift of the inferred prior odds explains, and the rest."""

from typing import Any, NamedTuple

import numpy as np


class Attribution(NamedTuple):
    """A forgetting in two parts that add up to it; arrays of one shape, or estimates over seeds."""

    forgetting: Any
    inference_shift: Any
    capability_loss: Any


def attribution(before: Any, after: Any, exact_before: Any, exact_after: Any) -> Attribution:
    """Splits a rise of the loss: the part of an ideal learner whose prior odds shift as the network's, and the rest.

    forgetting = after - before; inference shift = exact_after - exact_before; capability loss = the rest.
    `before` and `after` are losses of the network on Gaussian prompts, best as mean squared distances to ridge: on
    these prompts E(f - y)^2 = E(f - ridge)^2 + E(ridge - y)^2 for every predictor f, and the last term cancels.
    `exact_before` and `exact_after` are the same of the exact mixtures with the effective priors. Raises ValueError
    unless the arrays have one shape.
    """
    one_shape(before=before, after=after, exact_before=exact_before, exact_after=exact_after)
    forgetting, shift = after - before, exact_after - exact_before
    return Attribution(forgetting, shift, forgetting - shift)


def one_shape(**arrays: Any) -> None:
    """Raises ValueError, which names the arrays, unless they have one shape."""
    shapes = {name: np.shape(values) for name, values in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"one shape is expected, not {', '.join(f'{s} of {name}' for name, s in shapes.items())}")
