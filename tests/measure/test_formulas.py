import numpy as np
import pytest

from implicit_inference.measure.formulas import (
    Estimate,
    calibration,
    effective_gate,
    net_recovery,
    over_seeds,
    positions,
    rank_correlation,
    ratio,
    recovered_fraction,
    recovery_above,
    share,
    significant,
)
from implicit_inference.regression.score import shrinkage


def test_ranges_of_positions():
    assert positions("early", early=4, length=12) == slice(1, 5)
    assert positions("late", early=4, length=12) == slice(6, 12)
    assert positions("all", early=4, length=12) == slice(1, 12)
    assert positions("early", early=20, length=8) == slice(1, 8)


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


def test_the_gate_is_least_squares_by_bin_and_thin_bins_have_none():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 40, 5))
    log_odds = np.where(np.arange(5) < 3, -1.0, 1.0) + np.zeros((40, 1))
    predictions = second + np.where(log_odds < 0, 0.25, 1.5) * (first - second)
    log_odds[0, 0] = 9.0
    gate = effective_gate(predictions, first, second, log_odds, (0.0, 5.0))
    np.testing.assert_allclose(gate.coefficient, [0.25, 1.5, np.nan], atol=1e-12)
    assert gate.n.tolist() == [119, 80, 1]
    np.testing.assert_allclose(gate.stderr[:2], 0, atol=1e-12)
    assert np.isnan(effective_gate(first, second, second, log_odds, ()).coefficient).all()
    with pytest.raises(ValueError, match="one shape"):
        effective_gate(predictions, first[:1], second, log_odds)


def test_rank_correlations_of_known_orders():
    order = np.arange(5.0)
    assert rank_correlation(order, 2 * order + 1) == pytest.approx((1.0, 1.0))
    assert rank_correlation(order, -(order**3)) == pytest.approx((-1.0, -1.0))
    # one swapped neighbour: 1 of 10 pairs discordant; rho = 1 - 6 * 2 / (5 * 24)
    assert rank_correlation(order, np.array([1.0, 0.0, 2.0, 3.0, 4.0])) == pytest.approx((0.8, 0.9))
    # a tie: tau-b = 2 / sqrt(3 * 2); ranks 1, 2, 3 against 1.5, 1.5, 3
    assert rank_correlation(np.arange(3.0), np.array([0.0, 0.0, 1.0])) == pytest.approx((2 / 6**0.5, 0.75**0.5))
    assert np.isnan(rank_correlation(order, np.zeros(5)).kendall)
    with pytest.raises(ValueError, match=r"\(5,\) of predicted, \(3,\) of measured"):
        rank_correlation(order, order[:3])


ONE, TWO, THREE = np.ones(1), np.ones(2), np.ones(3)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (ratio, (ONE, THREE)),
        (recovered_fraction, (ONE, THREE, THREE)),
        (recovered_fraction, (THREE, THREE, ONE)),
        (shrinkage, (np.ones((3, 5, 2)), np.ones((1, 5, 2)))),
        (calibration, (np.ones((3, 5)), np.ones((3, 4)))),
        (effective_gate, (THREE, THREE, THREE, ONE)),
        (rank_correlation, (TWO, ONE)),
    ],
)
def test_arrays_that_would_broadcast_are_named(function, arguments):
    with pytest.raises(ValueError, match=r"one shape is expected, not .*\(3,|\(2,\) of predicted, \(1,\) of measured"):
        function(*arguments)


def test_what_is_not_known_is_no_estimate():
    unknown = np.array([1.0, np.nan, 3.0])
    for found in (over_seeds(unknown), ratio(unknown, THREE), ratio(THREE, unknown), over_seeds([]), ratio([], [])):
        assert np.isnan(found.mean)
        assert np.isnan(found.stderr)
    losses = np.array([[1.0, 1.1, 0.9], [2.0, 2.3, 1.8], [1.5, 1.6, 1.4]])
    for i in range(3):
        broken = losses.copy()
        broken[i, 1] = np.nan
        assert np.isnan(recovered_fraction(*broken).mean)
        assert np.isnan(share(losses[1], broken[i]).mean)
        assert np.isnan(share(broken[i], losses[0]).mean)
    assert not significant(over_seeds(unknown))
    assert np.isnan(rank_correlation(unknown, np.arange(3.0))).all()
    predictions, targets = np.ones((2, 4, 3)), np.ones((2, 4, 3))
    predictions[0, 1, 2] = targets[1, 0, 0] = np.nan
    np.testing.assert_array_equal(shrinkage(predictions, targets), [[1, 1, np.nan], [np.nan, 1, 1]])
    assert np.isnan(shrinkage(np.ones((2, 0, 3)), np.ones((2, 0, 3)))).all()


def test_log_odds_of_nan_are_counted_in_no_bin_and_might_be_in_any():
    first, second = np.arange(1.0, 9.0), np.zeros(8)
    odds = np.where(np.arange(8) < 4, -1.0, 1.0)
    known = effective_gate(0.5 * first, first, second, odds, (0.0,))
    np.testing.assert_allclose(known.coefficient, 0.5)
    odds[7] = np.nan
    gate = effective_gate(0.5 * first, first, second, odds, (0.0,))
    assert gate.n.tolist() == [4, 3]
    assert np.isnan(gate.coefficient).all()
    assert np.isnan(gate.stderr).all()
    for value in (np.nan, np.inf):
        broken = np.where(np.arange(8) == 0, value, 0.5 * first)
        gate = effective_gate(broken, first, second, np.where(np.arange(8) < 4, -1.0, 1.0), (0.0,))
        np.testing.assert_array_equal(gate.coefficient, [np.nan, 0.5])
    empty = effective_gate(*np.zeros((4, 0, 3)), (0.0,))
    assert empty.n.tolist() == [0, 0]
    assert np.isnan(empty.coefficient).all()


def test_infinities_and_unsigned_numbers_have_an_order():
    order = np.array([-np.inf, 0.0, 1e308, np.inf])
    assert rank_correlation(order, np.arange(4.0)) == pytest.approx((1.0, 1.0))
    assert rank_correlation(np.array([3, 1, 2], np.uint8), np.array([3.0, 1.0, 2.0])) == pytest.approx((1.0, 1.0))
    before, after = np.array([[4, 5, 4], [2, 2, 2]], np.uint8)
    assert recovered_fraction(after, before, after).mean == pytest.approx(1.0)
    assert ratio(after - 1.0, before).mean == pytest.approx(3 / 13)
    gate = effective_gate(np.array([0, 0], np.uint8), np.array([1, 1]), np.array([2, 2]), np.zeros(2), ())
    assert gate.coefficient[0] == pytest.approx(2.0)


def test_net_recovery_is_exactly_zero_where_nothing_moves_and_one_where_all_comes_back():
    before, after = np.array([0.1, 0.2, 0.3]), np.array([0.7, 0.9, 0.8])
    assert net_recovery(before, after, before, after) == Estimate(0.0, 0.0)
    conjugated = before - 0.05
    found = net_recovery(before, after, conjugated, conjugated)
    assert found.mean == pytest.approx(1.0)
    above = recovery_above(before, after, before, after - 0.1, conjugated, conjugated + 0.1)
    control = net_recovery(before, after, before, after - 0.1)
    assert above.mean == pytest.approx(net_recovery(before, after, conjugated, conjugated + 0.1).mean - control.mean)
