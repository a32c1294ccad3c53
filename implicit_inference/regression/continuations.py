"""Continuations: a predictor answers the later labels of a prompt itself, one after the other."""

import operator
from typing import SupportsIndex

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Shaped

from implicit_inference.bayes.compiled import compiled_once
from implicit_inference.bayes.shapes import require
from implicit_inference.regression.prompts import Predictor, Prompts, checked


def continued(
    predictor: Predictor, prompts: Prompts, start: SupportsIndex, noise: Shaped[Array, "*batch K"]
) -> Prompts:
    """The prompts with labels from position `start` (zero-based) on replaced: y_k = f(pairs before k, x_k) + noise_k.

    The predictor sees what it has answered before. With the noise of the labels, y_k has the predictor's mean and the
    labels' spread, given the pairs before it. Raises ValueError for noise of another shape, or a `start` outside of
    0 ... K; a traced one is not checked.
    """
    prompts = checked(prompts)
    shape = prompts.ys.shape
    require("noise", noise, shape, f"ys have shape {shape}")
    dtype = jnp.result_type(prompts.xs, prompts.ys, noise)
    xs, ys, noise = (jnp.asarray(x, dtype) for x in (prompts.xs, prompts.ys, noise))
    prompts, last = Prompts(xs, ys), shape[-1]
    if isinstance(start, jax.core.Tracer):
        return _answered(predictor, prompts, start, noise) if last else prompts
    start = operator.index(start)
    if not 0 <= start <= last:
        raise ValueError(f"start = {start}: allowed: 0 to {last}, the number of labels")
    return _compiled(predictor, prompts, start, noise) if start < last else prompts


def _answered(predictor: Predictor, prompts: Prompts, start: SupportsIndex, noise: Array) -> Prompts:
    def answer(k: Array, ys: Array) -> Array:
        return ys.at[..., k].set((predictor(Prompts(prompts.xs, ys)) + noise)[..., k].astype(ys.dtype))

    return Prompts(prompts.xs, jax.lax.fori_loop(start, prompts.ys.shape[-1], answer, prompts.ys))


_compiled = compiled_once(_answered, static=(2,))
