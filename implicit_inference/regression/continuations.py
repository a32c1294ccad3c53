"""Continuations: a predictor answers the later labels of a prompt itself, one after the other."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from implicit_inference.regression.each import compiled_once
from implicit_inference.regression.prompts import Predictor, Prompts, check_prompts
from implicit_inference.regression.shapes import require


def continued(predictor: Predictor, prompts: Prompts, start: int, noise: Float[Array, "*batch K"]) -> Prompts:
    """The prompts with labels from position `start` (zero-based) on replaced: y_k = f(pairs before k, x_k) + noise_k.

    The predictor sees what it has answered before. With the noise of the labels, y_k has the predictor's mean and the
    labels' spread, given the pairs before it. Raises ValueError for a `start`
    outside of 0 ... K, or noise of another shape.
    """

    check_prompts(prompts)
    require("noise", noise, jnp.shape(prompts.ys), f"ys have shape {jnp.shape(prompts.ys)}")
    length = jnp.shape(prompts.ys)[-1]
    if not 0 <= start <= length:
        raise ValueError(f"start = {start}: allowed: 0 to {length}, the number of labels")
    dtype = jnp.result_type(prompts.xs, prompts.ys, noise, 1.0)
    xs, ys, noise = (jnp.asarray(x, dtype) for x in (prompts.xs, prompts.ys, noise))
    return _continued(predictor, Prompts(xs, ys), start, noise) if start < length else Prompts(xs, ys)


def _answered(predictor: Predictor, prompts: Prompts, start: int, noise: Array) -> Prompts:
    def answer(k: Array, ys: Array) -> Array:
        return ys.at[..., k].set((predictor(Prompts(prompts.xs, ys)) + noise)[..., k].astype(ys.dtype))

    return Prompts(prompts.xs, jax.lax.fori_loop(start, prompts.ys.shape[-1], answer, prompts.ys))


_continued = compiled_once(_answered, static=(2,))
