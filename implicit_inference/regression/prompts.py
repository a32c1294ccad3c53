"""Prompts: how a task is shown, to exact predictors as pairs and to networks as tokens."""

import operator
from collections.abc import Callable
from typing import Literal, SupportsIndex

import jax
import jax.numpy as jnp
from einops import rearrange
from jax import Array
from jaxtyping import Float, Int, Shaped

from implicit_inference.bayes.compiled import compiled_once
from implicit_inference.bayes.shapes import floating, require, require_scalar
from implicit_inference.pytrees import pytree
from implicit_inference.regression.tasks import TaskDistribution

Tokens = Literal["compact", "interleaved"]


@pytree
class Prompts:
    """Inputs `xs` [..., K, d] and labels `ys` [..., K]; prediction k may use pairs before k and x_k."""

    xs: Float[Array, "*batch K d"]
    ys: Float[Array, "*batch K"]


def checked(prompts: Prompts) -> Prompts:
    """Returns the prompts in floating point; raises ValueError unless there is one label for each x_k."""
    shape = jnp.shape(prompts.xs)
    if len(shape) < 2:
        raise ValueError(f"xs have shape {shape}: [..., K, d] are expected")
    require("ys", prompts.ys, shape[:-1], f"xs have shape {shape}, and one label for each x_k is expected")
    return floating(prompts)


Predictor = Callable[[Prompts], Array]
"""Prompts -> predictions [..., K], where prediction k uses only the pairs before k, and x_k."""


@pytree
class Batch:
    """Prompts with their truth: `ws` [..., p], the part of the prior each came from, the labels before noise."""

    prompts: Prompts
    ws: Float[Array, "*batch p"]
    component: Int[Array, "*batch"]
    clean_labels: Float[Array, "*batch K"]


def sample_batch(key: Array, tasks: TaskDistribution, n: int, length: int, noise_std: Array | float) -> Batch:
    """n prompts of `length` pairs: x ~ N(0, I), a task w ~ tasks answers them, y = answer + its noise * N(0, 1).

    `noise_std` is the noise of tasks that bring none of their own.
    """
    require_scalar("noise_std", noise_std)
    tasks.check()
    task_key, input_key, noise_key = jax.random.split(key, 3)
    xs = jax.random.normal(input_key, (n, length, tasks.dim), jnp.float32)
    answers = tasks.answer(task_key, xs, noise_std)
    noise = answers.noise_std[:, None] * jax.random.normal(noise_key, (n, length), jnp.float32)
    return Batch(Prompts(xs, answers.clean_labels + noise), answers.ws, answers.component, answers.clean_labels)


def token_shape(layout: Tokens, dim: int, length: int) -> tuple[int, int]:
    """(number of tokens, token width) of a prompt with `length` pairs of `dim` inputs."""
    return (length, 2 * dim + 1) if layout == "compact" else (2 * length, dim)


def to_tokens(layout: Tokens, prompts: Prompts) -> Float[Array, "*batch T token"]:
    """The prompt as a sequence.

    interleaved: x_1, y_1, x_2, y_2, ... with y zero-padded to d numbers (Garg et al. 2022, arXiv:2208.01066);
    compact: one token (x_k, x_{k-1}, y_{k-1}) for each pair, zeros before the first.
    The last label is never a token of the compact layout: nothing is predicted after it.
    """
    prompts = checked(prompts)
    dtype = jnp.result_type(prompts.xs, prompts.ys)
    xs, ys = jnp.asarray(prompts.xs, dtype), jnp.asarray(prompts.ys, dtype)
    if layout == "interleaved":
        padded = jnp.zeros_like(xs).at[..., 0].set(ys)
        return rearrange([xs, padded], "pair ... k d -> ... (k pair) d")
    past = jnp.concatenate([xs, ys[..., None]], axis=-1)[..., :-1, :]
    past = jnp.concatenate([jnp.zeros_like(past[..., :1, :]), past], axis=-2)
    return jnp.concatenate([xs, past], axis=-1)


def read_predictions(layout: Tokens, outputs: Float[Array, "*batch T"]) -> Float[Array, "*batch K"]:
    """The outputs at the tokens that show x_k."""
    return outputs if layout == "compact" else outputs[..., ::2]


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
