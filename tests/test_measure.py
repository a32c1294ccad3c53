"""The bench against what is known of exact predictors."""

import numpy as np
import pytest
from test_sweep import TINY

from implicit_inference.config import override
from implicit_inference.measure import Bench
from implicit_inference.metrics import Estimate, positions
from implicit_inference.regression.conjugate import ScaleLabels
from implicit_inference.run import Lab
from implicit_inference.world import log_weights, prior


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(Lab(override(TINY, {"probe.prompts": 400}), tmp_path_factory.mktemp("runs")))


def test_losses_are_paired_by_seed_and_of_the_right_predictor(bench):
    ridge, discrete = bench.loss(bench.ridge, "gaussian"), bench.loss(bench.discrete_posterior, "gaussian")
    assert ridge.shape == (2, 8)
    assert np.all(bench.averaged(ridge, "all") < bench.averaged(discrete, "all"))
    np.testing.assert_allclose(bench.averaged(ridge, "early"), ridge[:, positions("early", 2, 8)].mean(axis=1))
    moved = bench.loss(bench.ridge, "gaussian", bench.lab.packed(ScaleLabels(3.0)))
    np.testing.assert_allclose(moved, ridge, rtol=1e-4)


def test_the_effective_prior_of_an_exact_mixture_is_its_own(bench):
    mixture = bench.exact(lambda seed: prior(bench.config, seed, log_weights(0.9)))
    logits, residuals, ideal = bench.effective(mixture)
    np.testing.assert_allclose(logits, np.log(9), atol=0.01)
    np.testing.assert_allclose(residuals, 0, atol=1e-5)
    np.testing.assert_allclose(bench.loss(ideal, "gaussian"), bench.loss(mixture, "gaussian"), rtol=1e-3)


def test_rows_name_the_seed_and_n_and_ratios_the_number_of_seeds(bench):
    rows = bench.rows(np.array([1.0, 2.0]), quantity="loss")
    assert rows[1] == {"quantity": "loss", "seed": 1, "value": 2.0, "n": 400}
    assert bench.estimate(Estimate(1.0, 0.1), quantity="x")["seeds"] == 2
    assert np.isnan(bench.estimate(None, quantity="x")["mean"])
