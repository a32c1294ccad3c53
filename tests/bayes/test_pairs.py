"""Thirty digits, against fractions."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference.bayes.pairs import Pair


def exact(pair):
    return [Fraction(float(high)) + Fraction(float(low)) for high, low in zip(pair.high, pair.low, strict=True)]


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv"])
def test_each_operation_has_thirty_digits(name):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        highs = 10.0 ** rng.uniform(-8, 8, size=(2, 400)) * rng.choice([-1, 1], size=(2, 400))
        a, b = (Pair(jnp.array(h), jnp.array(1e-17 * h * rng.uniform(-1, 1, size=400))) for h in highs)
        method = f"__{name}__"
        for x, y, actual in zip(exact(a), exact(b), exact(jax.jit(getattr(Pair, method))(a, b)), strict=True):
            scale = abs(x) + abs(y) if name in ("add", "sub") else abs(getattr(x, method)(y))
            assert abs(actual - getattr(x, method)(y)) < Fraction(1e-30) * scale


def test_a_square_root_squared():
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        highs = 10.0 ** rng.uniform(-8, 8, size=400)
        squares = Pair(jnp.array(highs), jnp.array(1e-17 * highs * rng.uniform(-1, 1, size=400)))
        for root, square in zip(exact(jax.jit(Pair.sqrt)(squares)), exact(squares), strict=True):
            assert abs(root**2 - square) < Fraction(1e-30) * square


@pytest.mark.parametrize("n", [1, 20])
def test_a_sum_of_products_that_cancel(n):
    rng = np.random.default_rng(n)
    with jax.enable_x64(True):
        a, b = rng.normal(size=(3, n)), 1e9 * rng.normal(size=(3, n))
        a, b = np.concatenate([a, a], axis=1), np.concatenate([b, -b * (1 + 1e-12)], axis=1)
        actual = exact(jax.jit(lambda a, b: Pair.of(a).dot(Pair.of(b)))(a.T, b.T))
        for row in range(3):
            expected = sum(Fraction(x) * Fraction(y) for x, y in zip(a[row], b[row], strict=True))
            assert abs(actual[row] - expected) < 1e-15 * abs(expected)
