"""Residuals as if computed with 30 digits."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from implicit_inference.regression.compensated import residual


def test_a_small_residual_of_large_numbers_is_rounded_once():
    rng = np.random.default_rng(0)
    xs, ws = rng.normal(size=(6, 3, 9)), 1e5 * rng.normal(size=(3, 9))
    ys = np.einsum("kbd,bd->kb", xs, ws) + 1e-3 * rng.normal(size=(6, 3))
    with jax.enable_x64(True):
        actual = jax.jit(residual)(jnp.array(ys), jnp.array(xs), jnp.array(ws))
        for k, b in np.ndindex(6, 3):
            products = (Fraction(x) * Fraction(w) for x, w in zip(xs[k, b], ws[b], strict=True))
            expected = Fraction(ys[k, b]) - sum(products)
            assert abs(Fraction(float(actual[k, b])) - expected) < 1e-15 * abs(expected)


def test_its_derivatives_are_those_of_the_formula():
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        ys, xs, ws = (jnp.array(rng.normal(size=shape)) for shape in ((4, 2), (4, 2, 3), (2, 3)))
        plain = lambda ys, xs, ws: ys - jnp.einsum("kbd,bd->kb", xs, ws)  # noqa: E731
        for actual, expected in zip(
            *(jax.jacrev(f, argnums=(0, 1, 2))(ys, xs, ws) for f in (residual, plain)), strict=True
        ):
            np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=1e-12)
