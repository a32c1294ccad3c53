"""Arithmetic with 30 digits: numbers as unevaluated sums of two float64 (Dekker 1971; Hida, Li and Bailey 2001).

Every product is one of 26-bit halves, hence exact: compilers that fuse multiply and add have nothing to change.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from implicit_inference.pytrees import pytree


@pytree
class Pair:
    """high + low, |low| at most half a unit in the last place of `high`; the shapes of the two are the same."""

    high: Array
    low: Array

    @classmethod
    def of(cls, x: Array) -> Pair:
        """The float64 numbers x, exactly."""
        return cls(x, jnp.zeros_like(x))

    def __getitem__(self, index: Any) -> Pair:
        return Pair(self.high[index], self.low[index])

    def __neg__(self) -> Pair:
        return Pair(-self.high, -self.low)

    def __add__(self, other: Pair) -> Pair:
        high, error = _sum(self.high, other.high)
        return Pair(*_sum(high, error + (self.low + other.low)))

    def __sub__(self, other: Pair) -> Pair:
        return self + -other

    def __mul__(self, other: Pair) -> Pair:
        (a, b), (c, d) = _halves(self.high), _halves(other.high)
        high, error = _sum(a * c, a * d)
        high, more = _sum(high, b * c)
        return Pair(*_sum(high, error + more + b * d + (self.high * other.low + self.low * other.high)))

    def __truediv__(self, other: Pair) -> Pair:
        guess = Pair.of(self.high / other.high)
        return guess + Pair.of((self - guess * other).high / other.high)

    def sqrt(self) -> Pair:
        """The square root; of numbers > 0."""
        guess = Pair.of(jnp.sqrt(self.high))
        return guess + Pair.of((self - guess * guess).high / (2 * guess.high))

    def dot(self, other: Pair) -> Pair:
        """The sum of the products over the first axis, term by term."""

        def add(total: Pair, factors: tuple[Pair, Pair]) -> tuple[Pair, None]:
            return total + factors[0] * factors[1], None

        zeros = jax.tree.map(lambda a, b: 0 * (a[0] + b[0]), self, other)
        return jax.lax.scan(add, zeros, (self, other))[0]


def _sum(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b rounded, and what the rounding lost."""
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def _halves(x: Array) -> tuple[Array, Array]:
    high = jax.lax.reduce_precision(x, exponent_bits=11, mantissa_bits=25)
    return high, x - high
