"""Many conjugations at once: group orbits, the average over them, and the choice among them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from implicit_inference.bayes.compiled import compiled_once, each
from implicit_inference.bayes.conjugation import Conjugation, conjugates, some
from implicit_inference.bayes.precision import in_float64
from implicit_inference.regression.conjugations import RotateInputs, ScaleLabels
from implicit_inference.regression.inference import sequential_evidence
from implicit_inference.regression.prompts import Predictor, Prompts
from implicit_inference.regression.tasks import TaskDistribution


def scales(factors: Sequence[float]) -> tuple[ScaleLabels, ...]:
    """Label scales, one for each factor; (1, -1) is the group of label signs."""
    return tuple(ScaleLabels(factor) for factor in factors)


def sign_flips(dim: int) -> tuple[RotateInputs, ...]:
    """The group of all 2^dim sign changes of the inputs; the first changes none."""
    signs = 1.0 - 2.0 * ((jnp.arange(2**dim)[:, None] >> jnp.arange(dim)[None]) & 1)
    return tuple(RotateInputs(jnp.diag(row)) for row in signs)


def rotations(key: Array, dim: int, n: int) -> tuple[RotateInputs, ...]:
    """n random orthogonal maps (Haar measure; reflections among them), the same ones for the same key."""
    return tuple(
        RotateInputs(turn) for turn in jax.vmap(_orthonormal)(jax.random.normal(key, (n, dim, dim), jnp.float32))
    )


@in_float64
def _orthonormal(rows: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """Gram-Schmidt, each row projected twice; plain array operations, where batched LAPACK can hang on few cores."""
    result = jnp.zeros_like(rows)
    for i, row in enumerate(rows):
        for _ in range(2):
            row = row - result.T @ (result @ row)
        result = result.at[i].set(row / jnp.sqrt(jnp.sum(row**2)))
    return result


def selected(
    predictor: Predictor, conjugations: Sequence[Conjugation], tasks: TaskDistribution, noise_std: Array | float
) -> Predictor:
    """For each prompt and position, the conjugation whose shown past is least likely under `tasks` at `noise_std`.

    The choice sees only pairs before the position, so this is a predictor as well. With nothing in the past, or
    equally likely pasts, the first conjugation stands. Likely means the density of the labels as shown, with no
    Jacobian: how the prompt looks to a learner who believes in `tasks`. A past whose likelihood is nan under one
    conjugation makes the prediction nan. Raises ValueError without conjugations.
    """
    return jax.tree_util.Partial(_select, predictor, some(conjugations), tasks, noise_std)


def _select(
    predictor: Predictor,
    conjugations: tuple[Conjugation, ...],
    tasks: TaskDistribution,
    noise_std: Array | float,
    prompts: Prompts,
) -> Array:
    evidence = _shown(tasks, conjugations, prompts, noise_std)
    choice, unknown = jnp.argmin(evidence, axis=0), jnp.isnan(evidence).any(axis=0)
    predictions = conjugates(predictor, conjugations, prompts)
    return jnp.where(unknown, jnp.nan, jnp.take_along_axis(predictions, choice[None], axis=0)[0])


@compiled_once
def _shown(
    tasks: TaskDistribution, conjugations: tuple[Conjugation, ...], prompts: Prompts, noise_std: Array | float
) -> Float[Array, "S *batch K"]:
    """The log evidence of each position's past as each conjugation shows it."""
    return each(lambda c: sequential_evidence(tasks, c.apply(prompts), noise_std)[..., :-1], conjugations)
