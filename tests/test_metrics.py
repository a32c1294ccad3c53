import numpy as np
import pytest

from implicit_inference.metrics import (
    Estimate,
    over_seeds,
    positions,
    ratio,
    recovered_fraction,
    shrinkage,
    significant,
)


def test_ranges_of_positions():
    assert positions("early", dim=4, length=12) == slice(1, 5)
    assert positions("late", dim=4, length=12) == slice(6, 12)
    assert positions("all", dim=4, length=12) == slice(1, 12)
    assert positions("early", dim=20, length=8) == slice(1, 8)


def test_standard_error_over_seeds():
    estimate = over_seeds(np.array([1.0, 2.0, 3.0]))
    assert estimate.mean == 2
    assert estimate.stderr == pytest.approx(1 / np.sqrt(3))
    assert np.isnan(over_seeds(np.array([1.0])).stderr)


def test_the_jackknife_of_a_ratio_is_right_on_average():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4000, 8, 2))
    estimates = [ratio(3 + 0.3 * a, 2 + 0.2 * b) for a, b in np.moveaxis(noise, 2, 1)]
    spread = np.std([e.mean for e in estimates])
    stated = np.sqrt(np.mean([e.stderr**2 for e in estimates]))
    assert stated == pytest.approx(spread, rel=0.05)


def test_a_constant_denominator_gives_the_plain_standard_error():
    values = np.array([1.0, 2.0, 4.0])
    assert ratio(values, np.full(3, 2.0)).stderr == pytest.approx(over_seeds(values / 2).stderr)


def test_recovered_fraction_is_one_for_the_pretrained_loss_and_zero_for_the_finetuned():
    before, after = np.array([1.0, 1.1, 0.9]), np.array([2.0, 2.3, 1.8])
    assert recovered_fraction(before, after, before) == Estimate(1.0, pytest.approx(0.0, abs=1e-12))
    assert recovered_fraction(before, after, after) == Estimate(0.0, pytest.approx(0.0, abs=1e-12))


def test_it_is_undefined_without_significant_forgetting():
    before = np.array([1.0, 1.1, 0.9])
    assert recovered_fraction(before, before - 0.1, before) is None
    assert recovered_fraction(before, before + np.array([0.5, -0.3, 0.1]), before) is None
    assert not significant(Estimate(1.0, float("nan")))


def test_shrinkage_is_the_best_factor():
    rng = np.random.default_rng(1)
    predictions, targets = rng.normal(size=(2, 3, 50, 4))
    best = shrinkage(predictions, targets)
    assert best.shape == (3, 4)

    def loss(factor):
        return np.mean((factor[:, None] * predictions - targets) ** 2, axis=1)

    assert np.all(loss(best) < np.minimum(loss(best + 0.01), loss(best - 0.01)))
    assert np.all(np.isfinite(shrinkage(np.zeros((1, 5, 2)), np.ones((1, 5, 2)))))
