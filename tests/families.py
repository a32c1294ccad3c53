"""One member of every family and of every kind of conjugation, drawn by hypothesis: the laws must hold for all."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from implicit_inference import (
    Chain,
    Chebyshev,
    CorrelatedTasks,
    DiscreteTasks,
    FeatureTasks,
    Fourier,
    GaussianTasks,
    Identity,
    Mixture,
    OwnNoise,
    Polynomial,
    Prompts,
    ReLU,
    RotateInputs,
    ScaleInputs,
    ScaleLabels,
    ShiftLabels,
    student_tasks,
)

seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
stds = st.floats(0.1, 10.0)
factors = st.floats(0.05, 20.0).flatmap(lambda size: st.sampled_from([size, -size]))
shapes = st.sampled_from([(1, 1), (4, 2), (7, 3)])


def gaussian(rng, d):
    return GaussianTasks(jnp.array(rng.normal(size=d)), jnp.array(rng.uniform(0.1, 3.0)))


def discrete(rng, d):
    return DiscreteTasks(jnp.array(rng.normal(size=(5, d))), jnp.array(rng.normal(size=5)))


def correlated(rng, d):
    return CorrelatedTasks(jnp.array(rng.normal(size=d)), jnp.array(rng.normal(size=(d, d))))


def feature(features):
    return lambda rng, d: FeatureTasks(features(rng, d), gaussian(rng, features(rng, d).size))


def mixture(*families):
    return lambda rng, d: Mixture(tuple(f(rng, d) for f in families), jnp.array(rng.normal(size=len(families))))


polynomial = feature(lambda rng, d: Polynomial(d, 2))
chebyshev = feature(lambda rng, d: Chebyshev(d, 3))
fourier = feature(lambda rng, d: Fourier(jnp.array(rng.normal(size=(3, d)))))
relu = feature(lambda rng, d: ReLU(jnp.array(rng.normal(size=(4, d))), jnp.array(rng.normal(size=4))))

LINEAR = {
    "gaussian": gaussian,
    "discrete": discrete,
    "correlated": correlated,
    "own noise": lambda rng, d: OwnNoise(gaussian(rng, d), jnp.array(rng.uniform(0.1, 3.0))),
    "heavy tails": lambda rng, d: student_tasks(jnp.array(rng.normal(size=d)), 1.5, 3.0, n_scales=3),
    "mixture": mixture(discrete, gaussian),
    "mixture of mixtures": mixture(mixture(discrete, correlated), gaussian),
}
NON_LINEAR = {
    "polynomial": polynomial,
    "chebyshev": chebyshev,
    "fourier": fourier,
    "relu": relu,
    "mixture with features": mixture(discrete, polynomial),
}
FAMILIES = {**LINEAR, **NON_LINEAR}


def orthogonal(rng, d):
    return jnp.array(np.linalg.qr(rng.normal(size=(d, d)))[0])


CONJUGATIONS = {
    "identity": lambda draw, rng, d: Identity(),
    "scale labels": lambda draw, rng, d: ScaleLabels(jnp.array(draw(factors))),
    "scale inputs": lambda draw, rng, d: ScaleInputs(jnp.array(draw(factors))),
    "rotate inputs": lambda draw, rng, d: RotateInputs(orthogonal(rng, d)),
    "shift labels": lambda draw, rng, d: ShiftLabels(jnp.array(rng.normal(size=d))),
    "empty chain": lambda draw, rng, d: Chain(()),
    "chain": lambda draw, rng, d: Chain(
        (
            ScaleLabels(jnp.array(draw(factors))),
            ShiftLabels(jnp.array(rng.normal(size=d))),
            RotateInputs(orthogonal(rng, d)),
        )
    ),
}


def prompt(rng, length, d):
    """Two prompts that come from nowhere in particular: the laws hold on any."""
    return Prompts(jnp.array(rng.normal(size=(2, length, d))), jnp.array(rng.normal(size=(2, length))))


def leaves_close(actual, expected, tolerance=1e-9):
    """Trees of equal structure, leaves equal relative to the largest entry (at least 1)."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.max(np.abs(b))))
