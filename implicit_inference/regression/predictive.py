"""Exact Bayes: what an ideal learner predicts before each label, for every position of a prompt at once.

Each task distribution needs two sequences, the mean m_k and the log density l_k of y_k given the pairs before k
and x_k; everything else follows from them. `noise_std` (> 0) is the learner's belief about the label noise.

Inputs may be float32: the formulas run in float64 (precision.py), so that means, log densities and posteriors hold
to 1e-4 with noise down to 1e-4 of the prior's spread, on prompts however far from every task (docs/exactness.md).
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from implicit_inference.bayes.compiled import mapped
from implicit_inference.bayes.mixtures import NEVER, Part, Predictive, all_joined, joined, part, parts, posterior
from implicit_inference.bayes.precision import in_float64, thirty_digits
from implicit_inference.bayes.shapes import require_dim, require_scalar
from implicit_inference.regression.filters import gaussian_filter, task_filter
from implicit_inference.regression.prompts import Predictor, Prompts, checked
from implicit_inference.regression.tasks import DiscreteTasks, GaussianTasks, Mixture, TaskDistribution

TASKS_AT_A_TIME = 2**12
"""Larger discrete sets are streamed in chunks of this many tasks, about 40 bytes for each prompt in work and task in
the chunk; beyond a copy of the set in float64, memory does not grow with the set."""


@functools.singledispatch
def _of_family(tasks: TaskDistribution, prompts: Prompts, noise_std: Array | float) -> Predictive:
    raise TypeError(f"no exact predictive is registered for {type(tasks).__name__}")


@runtime_checkable
class Dispatched(Protocol):
    """A function of tasks, prompts and the noise believed in, which families of tasks are registered with."""

    @property
    def register(self) -> Callable[[Any], Any]: ...

    def __call__(
        self, tasks: TaskDistribution, prompts: Prompts, noise_std: Array | float, digits: int = ...
    ) -> Predictive: ...


def _dispatched(function: Any) -> Dispatched:
    function.register = _of_family.register
    return function


@_dispatched
def posterior_predictive(
    tasks: TaskDistribution, prompts: Prompts, noise_std: Array | float, digits: int = 16
) -> Predictive:
    """E[y_k | past, x_k] and log p(y_k | past, x_k) under the prior `tasks`, at every position.

    `digits`: 16, those of float64, or 30 (see `thirty_digits`). A label of infinity has the lowest log density that the
    type holds, tells no families apart, and is learned from as one of 1e100. After a label of nan all is nan. Raises
    ValueError for arrays that do not fit together.
    Register a function for a new family of tasks with `@posterior_predictive.register`.
    """
    prompts = checked(prompts)
    require_dim(tasks, prompts.xs.shape[-1], "prompts")
    require_scalar("noise_std", noise_std)
    if digits not in (16, 30):
        raise ValueError(f"digits = {digits}: allowed: 16, 30")
    with thirty_digits() if digits == 30 else contextlib.nullcontext():
        found = _of_family(tasks, prompts, noise_std)
    lowest = jnp.finfo(found.log_density.dtype).min
    return Predictive(found.mean, jnp.where(jnp.isinf(prompts.ys), lowest, found.log_density))


@posterior_predictive.register
@in_float64
def _(tasks: GaussianTasks, prompts: Prompts, noise_std: Array | float) -> Predictive:
    """Ridge regression."""
    root = tasks.std * jnp.eye(tasks.dim)
    return Predictive(*gaussian_filter(tasks.mean, root, prompts.xs, prompts.ys, noise_std))


@posterior_predictive.register
@in_float64
def _(tasks: DiscreteTasks, prompts: Prompts, noise_std: Array | float) -> Predictive:
    """The posterior average over the set, a chunk of tasks after the other: memory does not grow with the set."""
    log_prior = jnp.maximum(tasks.log_prior, NEVER)
    if len(tasks.ws) <= TASKS_AT_A_TIME:
        return Predictive(*task_filter(tasks.ws, log_prior, prompts.xs, prompts.ys, noise_std))

    def part_of(ws: Array, log_prior: Array) -> Part:
        means_and_densities = task_filter(ws, log_prior, prompts.xs, prompts.ys, noise_std)
        return part(jax.nn.logsumexp(log_prior), Predictive(*means_and_densities))

    missing = -len(tasks.ws) % TASKS_AT_A_TIME
    ws = jnp.pad(tasks.ws, ((0, missing), (0, 0))).reshape(-1, TASKS_AT_A_TIME, tasks.dim)
    log_priors = jnp.pad(log_prior, (0, missing), constant_values=NEVER).reshape(-1, TASKS_AT_A_TIME)
    total, _ = jax.lax.scan(
        lambda total, tasks: (joined(total, part_of(*tasks)), None),
        part_of(ws[0], log_priors[0]),
        (ws[1:], log_priors[1:]),
    )
    return total.predictive


@posterior_predictive.register
@in_float64
def _(tasks: Mixture, prompts: Prompts, noise_std: Array | float) -> Predictive:
    """The average of the components' predictions, weighted by the posterior over components."""
    return all_joined(component_parts(tasks, prompts, noise_std)).predictive


def component_parts(mixture: Mixture, prompts: Prompts, noise_std: Array | float) -> Part:
    """The components as parts of the mixture, stacked along the first axis. To be called in float64."""
    mixture.check()
    predictives = mapped(lambda component: posterior_predictive(component, prompts, noise_std), mixture.components)
    return parts(jnp.asarray(mixture.log_weights), predictives)


@in_float64
def component_posterior(
    mixture: Mixture, prompts: Prompts, noise_std: Array | float
) -> Float[Array, "*batch K components"]:
    """The posterior probability of each component before y_k is seen, [..., K, C]: task inference itself."""
    return posterior(component_parts(mixture, prompts, noise_std))


def bayes_predictor(tasks: TaskDistribution, noise_std: Array | float) -> Predictor:
    """The predictor that answers with the posterior mean under `tasks`; a pytree, so it jits, vmaps and stacks."""
    return jax.tree_util.Partial(_predictive_mean, tasks, noise_std)


def _predictive_mean(tasks: TaskDistribution, noise_std: Array | float, prompts: Prompts) -> Array:
    return posterior_predictive(tasks, prompts, noise_std).mean
