"""Accounts of a fine-tuning: gates that were put in are found, in a world of numbers and in one of probabilities."""

import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference.bayes.accounts import GATES, fitted, pull
from implicit_inference.bayes.attribution import ACCOUNTS, shapley
from implicit_inference.bayes.projection import attributed

RNG = np.random.default_rng(3)
RATIO = RNG.normal(-1, 4, (400, 6))


def squared(a, b):
    return (a - b) ** 2


def kl(mean, predictions):
    log = np.log if isinstance(mean, np.ndarray) else jnp.log
    return (mean * (log(mean) - log(predictions))).sum(axis=-1)


NUMBERS = (RNG.normal(size=(400, 6)), RNG.normal(size=(400, 6)), squared)
PROBABILITIES = (RNG.dirichlet(np.ones(3), (400, 6)), RNG.dirichlet(np.ones(3), (400, 6)), kl)


def mixed(gate, first, second):
    gate = gate.reshape(gate.shape + (1,) * (first.ndim - gate.ndim))
    return second + gate * (first - second)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("world", [NUMBERS, PROBABILITIES])
@pytest.mark.parametrize(
    ("name", "numbers", "gate"),
    [
        ("prior_shift", (2.5,), sigmoid(2.5 + RATIO)),
        ("prior_and_weight", (1.2, 0.25), sigmoid(1.2 + 0.25 * RATIO)),
        ("prior_and_weight", (-0.5, 1.6), sigmoid(-0.5 + 1.6 * RATIO)),
        ("lapse", (1.0, 0.3), 0.3 + 0.7 * sigmoid(1.0 + RATIO)),
    ],
)
def test_the_numbers_of_a_gate_are_found_again(world, name, numbers, gate):
    first, second, divergence = world
    arrays = (jnp.asarray(x, jnp.float32) for x in (mixed(gate, first, second), first, second, RATIO))
    found = fitted(GATES[name], *arrays, jnp.full(6, 1 / 6, jnp.float32), divergence)
    np.testing.assert_allclose(found, numbers, atol=0.01)
    assert len(found) == len(ACCOUNTS[name])


def test_a_constant_pull_is_found_by_position_whatever_the_evidence():
    first, second = (jnp.asarray(x, jnp.float32) for x in NUMBERS[:2])
    before, c = jnp.asarray(RNG.normal(size=(400, 6)), jnp.float32), jnp.linspace(-0.3, 0.9, 6)
    np.testing.assert_allclose(pull(before, before + c[None] * (first - second), first, second), c, atol=1e-5)


@pytest.mark.parametrize("world", [NUMBERS, PROBABILITIES])
def test_the_distance_parts_by_pythagoras(world):
    """In every cell the nearest mixture m has D(second, f) = D(second, m) + D(m, f), by a search of its weight here."""
    first, second, divergence = world
    bins = (RATIO > -1).astype(np.int32)
    target = mixed(np.where(bins, 0.8, 0.2) + 0.1 * RNG.normal(size=bins.shape), first, second)
    f = target + 0.3 * RNG.normal(size=first.shape) if divergence is squared else 0.7 * np.clip(target, 1e-3, 1) + 0.1
    f = f if divergence is squared else f / f.sum(axis=-1, keepdims=True)
    found = attributed(*(jnp.asarray(x, jnp.float32) for x in (f, first, second)), jnp.asarray(bins), 2, divergence)
    on_line, off_line = np.zeros(6), np.zeros(6)
    for k in range(6):
        for b in (0, 1):
            at = bins[:, k] == b
            here = [x[at, k] for x in (f, first, second)]
            grid = np.linspace(0, 1, 1001)
            apart = [np.sum(divergence(mixed(np.full(at.sum(), g), *here[1:]), here[0])) for g in grid]
            nearest = mixed(np.full(at.sum(), grid[int(np.argmin(apart))]), *here[1:])
            on_line[k] += np.sum(divergence(here[2], nearest)) / len(f)
            off_line[k] += np.sum(divergence(nearest, here[0])) / len(f)
    np.testing.assert_allclose(found.on_line, on_line, rtol=2e-3)
    np.testing.assert_allclose(found.off_line, off_line, rtol=2e-3)


def test_shapley_parts_add_up_and_an_argument_that_stays_has_none():
    def value(a, b):
        return a * b + a**2

    parts = shapley(value, (1.0, 2.0), (3.0, 5.0))
    assert sum(parts) == pytest.approx(value(3.0, 5.0) - value(1.0, 2.0))
    assert parts[0] == pytest.approx(((value(3, 2) - value(1, 2)) + (value(3, 5) - value(1, 5))) / 2)
    assert shapley(value, (1.0, 2.0), (1.0, 5.0))[0] == 0
