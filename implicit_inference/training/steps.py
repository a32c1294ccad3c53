"""Training: a pure scan over steps that draws its own data; no files, no evaluation, no priors."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from einops import rearrange
from jax import Array

from implicit_inference.pytrees import pytree

Params = Any
Examples = tuple[Any, Array]
"""(prompts, targets [batch, K, *event])"""
Draw = Callable[[Array], Examples]
"""key -> what a step is shown"""
Predict = Callable[[Params, Any], Array]
"""(params, prompts) -> predictions [batch, K, *event]"""
Loss = Callable[[Array, Array], Array]
"""(predictions, targets) -> the loss at every position [batch, K]"""


@pytree
class TrainState:
    """All that training carries from step to step: what trains, and beside it what does not."""

    params: Params
    frozen: Any
    opt_state: Any
    step: Array


def start(params: Params, optimizer: optax.GradientTransformation, frozen: Any = None) -> TrainState:
    """The state before the first step."""
    return TrainState(params, frozen, optimizer.init(params), jnp.zeros((), jnp.int32))


def mean_over_slices(function: Callable[..., Any], batch: Examples, slices: int) -> Any:
    """The mean of function(*slice) over equal slices of a batch, one after the other."""
    if slices == 1:
        return function(*batch)
    parts = jax.tree.map(lambda leaf: rearrange(leaf, "(slice prompt) ... -> slice prompt ...", slice=slices), batch)
    shapes = jax.eval_shape(function, *jax.tree.map(lambda leaf: leaf[0], parts))
    total, _ = jax.lax.scan(
        lambda total, part: (jax.tree.map(jnp.add, total, function(*part)), None),
        jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes),
        parts,
    )
    return jax.tree.map(lambda leaf: leaf / slices, total)


def train_chunk(
    state: TrainState,
    key: Array,
    n_steps: int,
    draw: Draw,
    predict: Predict,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    slices: int = 1,
    mean: Callable[[Any], Any] = lambda tree: tree,
    penalty: Callable[[Params, Array], Array] | None = None,
) -> tuple[TrainState, Array]:
    """`n_steps` optimiser steps; returns the new state and the mean of `loss` at each step [n_steps].

    The batch of step t is `draw(fold_in(key, t))`, whatever the chunks; a chunk's batches are drawn together first.
    `penalty(params, key)` is added to the loss, with the same key t. No step touches `state.frozen`.
    The gradient is taken of `slices` equal parts of the batch, one after the other, and averaged; `mean` averages it
    over devices that hold parts of one batch. Neither changes more than rounding.
    """
    keys = jax.vmap(lambda t: jax.random.fold_in(key, t))(state.step + jnp.arange(n_steps))
    batches = jax.vmap(draw)(keys)

    def mean_loss(params: Params, prompts: Any, targets: Array) -> Array:
        return jnp.mean(loss(predict(params, prompts), targets))

    def step(state: TrainState, drawn: tuple[Array, Examples]) -> tuple[TrainState, Array]:
        key, batch = drawn
        value, gradients = mean(mean_over_slices(partial(jax.value_and_grad(mean_loss), state.params), batch, slices))
        if penalty:
            held_back = jax.value_and_grad(penalty)(state.params, key)
            value, gradients = jax.tree.map(jnp.add, (value, gradients), held_back)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        return TrainState(optax.apply_updates(state.params, updates), None, opt_state, state.step + 1), value

    last, losses = jax.lax.scan(step, replace(state, frozen=None), (keys, batches))
    return replace(last, frozen=state.frozen), losses
