"""Continuations: a predictor answers the later labels of a prompt itself, one after the other."""

import jax
from jax import Array
from jaxtyping import Float

from implicit_inference.regression.prompts import Predictor, Prompts


def continued(predictor: Predictor, prompts: Prompts, start: int, noise: Float[Array, "*batch K"]) -> Prompts:
    """The prompts with labels from position `start` (zero-based) on replaced: y_k = f(pairs before k, x_k) + noise_k.

    The predictor sees what it has answered before. With the noise of the labels, y_k has the predictor's mean and the
    labels' spread, given the pairs before it.
    """

    def answer(k: Array, ys: Array) -> Array:
        return ys.at[..., k].set((predictor(Prompts(prompts.xs, ys)) + noise)[..., k])

    return Prompts(prompts.xs, jax.lax.fori_loop(start, prompts.ys.shape[-1], answer, prompts.ys))
