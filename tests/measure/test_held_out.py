"""Held-out prompts, and beliefs read off it, against what is known of exact predictors."""

import numpy as np
import pytest
from made_up import TINY

from implicit_inference.config.changes import override
from implicit_inference.measure.beliefs import Beliefs
from implicit_inference.measure.formulas import Estimate, positions
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.regression.conjugations import ScaleLabels
from implicit_inference.training.batches import log_weights, prior
from implicit_inference.training.loop import Trained


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    return HeldOut(Trained.of(override(TINY, {"probe.prompts": 400}), tmp_path_factory.mktemp("runs")))


def test_losses_are_paired_by_seed_and_of_the_right_predictor(held_out):
    ridge, discrete = held_out.loss(held_out.forgotten, "gaussian"), held_out.loss(held_out.preferred, "gaussian")
    assert ridge.shape == (2, 8)
    assert np.all(held_out.averaged(ridge, "all") < held_out.averaged(discrete, "all"))
    np.testing.assert_allclose(held_out.averaged(ridge, "early"), ridge[:, positions("early", 2, 8)].mean(axis=1))
    conjugated = held_out.loss(held_out.forgotten, "gaussian", held_out.packed.repeated(ScaleLabels(3.0)))
    np.testing.assert_allclose(conjugated, ridge, rtol=1e-4)


def test_the_effective_prior_of_an_exact_mixture_is_its_own(held_out):
    mixture = held_out.exact(lambda seed: prior(held_out.config, seed, log_weights(0.9)))
    beliefs = Beliefs(held_out)
    found = beliefs.prior(mixture)
    np.testing.assert_allclose(found.logit, np.log(9), atol=0.01)
    np.testing.assert_allclose(found.residual, 0, atol=1e-5)
    np.testing.assert_array_equal(found.bound, 0)
    ideal = beliefs.ideal(found.logit)
    np.testing.assert_allclose(held_out.loss(ideal, "gaussian"), held_out.loss(mixture, "gaussian"), rtol=1e-3)


def test_records_name_the_seed_and_n_and_ratios_the_number_of_seeds(held_out):
    records = held_out.records(np.array([1.0, 2.0]), quantity="loss")
    assert records[1] == {"quantity": "loss", "seed": 1, "mean": 2.0, "n": 400}
    assert held_out.estimate(Estimate(1.0, 0.1), quantity="x")["seeds"] == 2
    assert np.isnan(held_out.estimate(None, quantity="x")["mean"])
