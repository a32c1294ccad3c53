"""The parts of a spread over seeds: between worlds, and between the networks of one world."""

import numpy as np
import pytest
from scripts import EXPERIMENTS, load

variances = load(EXPERIMENTS, "spread").variances


def drawn(between, within, worlds, networks, seed):
    rng = np.random.default_rng(seed)
    values = between * rng.normal(size=(worlds, 1)) + within * rng.normal(size=(worlds, networks))
    return values.ravel()[1:], np.repeat(np.arange(worlds), networks)[1:]  # one network less in the first world


@pytest.mark.parametrize(("between", "within"), [(2.0, 1.0), (0.5, 1.0)])
def test_both_variances_are_estimated_without_bias(between, within):
    found = np.array([variances(*drawn(between, within, 40, 3, seed)) for seed in range(400)])
    np.testing.assert_allclose(found[:, :2].mean(axis=0), [between**2, within**2], rtol=0.1)


def test_the_p_value_is_uniform_where_worlds_do_not_differ():
    p = np.array([variances(*drawn(0.0, 1.0, 6, 2, seed))[2] for seed in range(2000)])
    np.testing.assert_allclose(np.mean(p[:, None] < [0.05, 0.25, 0.5, 0.9], axis=0), [0.05, 0.25, 0.5, 0.9], atol=0.03)


def test_a_table_by_hand():
    """Worlds (1, 3), (5, 7), (9, 11): means 2, 6, 10; within 2; mean square of worlds 32; F = 16 on 2 and 3."""
    between, within, p = variances(np.array([1.0, 5, 9, 3, 7, 11]), np.array([0, 1, 2] * 2))
    assert (between, within) == (15.0, 2.0)
    assert p == pytest.approx(0.0251, abs=5e-5)
