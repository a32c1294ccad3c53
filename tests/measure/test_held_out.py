"""The exam, and beliefs read off it, against what is known of exact predictors."""

import numpy as np
import pytest
from made_up import TINY

from implicit_inference.config.changes import override
from implicit_inference.measure.beliefs import Beliefs
from implicit_inference.measure.formulas import Estimate, positions
from implicit_inference.measure.held_out import Exam
from implicit_inference.regression.conjugations import ScaleLabels
from implicit_inference.training.loop import Lab
from implicit_inference.training.mixtures import log_weights, prior


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    return Exam(Lab(override(TINY, {"probe.prompts": 400}), tmp_path_factory.mktemp("runs")))


def test_losses_are_paired_by_seed_and_of_the_right_predictor(exam):
    ridge, discrete = exam.loss(exam.forgotten, "gaussian"), exam.loss(exam.preferred, "gaussian")
    assert ridge.shape == (2, 8)
    assert np.all(exam.averaged(ridge, "all") < exam.averaged(discrete, "all"))
    np.testing.assert_allclose(exam.averaged(ridge, "early"), ridge[:, positions("early", 2, 8)].mean(axis=1))
    moved = exam.loss(exam.forgotten, "gaussian", exam.lab.packed(ScaleLabels(3.0)))
    np.testing.assert_allclose(moved, ridge, rtol=1e-4)


def test_the_effective_prior_of_an_exact_mixture_is_its_own(exam):
    mixture = exam.exact(lambda seed: prior(exam.config, seed, log_weights(0.9)))
    beliefs = Beliefs(exam)
    found = beliefs.prior(mixture)
    np.testing.assert_allclose(found.logit, np.log(9), atol=0.01)
    np.testing.assert_allclose(found.residual, 0, atol=1e-5)
    np.testing.assert_array_equal(found.bound, 0)
    ideal = beliefs.ideal(found.logit)
    np.testing.assert_allclose(exam.loss(ideal, "gaussian"), exam.loss(mixture, "gaussian"), rtol=1e-3)


def test_rows_name_the_seed_and_n_and_ratios_the_number_of_seeds(exam):
    rows = exam.rows(np.array([1.0, 2.0]), quantity="loss")
    assert rows[1] == {"quantity": "loss", "seed": 1, "value": 2.0, "n": 400}
    assert exam.estimate(Estimate(1.0, 0.1), quantity="x")["seeds"] == 2
    assert np.isnan(exam.estimate(None, quantity="x")["mean"])
