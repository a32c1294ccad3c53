"""Held-out prompts, and beliefs read off it, against what is known of exact predictors."""

import jax.numpy as jnp
import numpy as np
import pytest
from made_up import TINY

import implicit_inference as ii
from implicit_inference.config.changes import override
from implicit_inference.measure.beliefs import Beliefs
from implicit_inference.measure.damage import Uninformed, damage
from implicit_inference.measure.formulas import Estimate, positions
from implicit_inference.measure.held_out import HeldOut, cases
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


def test_each_past_is_shown_by_the_rotation_under_which_the_set_is_least_likely(held_out):
    mixture = held_out.exact(lambda seed: prior(held_out.config, seed, log_weights(0.5)))
    batch, case = held_out.batch("gaussian"), cases(held_out)[-1]
    view = case.view(held_out, batch)
    found = view.predictions(mixture)
    for place, seed in enumerate(held_out.config.seeds):
        discrete = held_out.world.families(seed)["discrete"]
        prompts = ii.Prompts(batch.prompts.xs[place], batch.prompts.ys[place])
        own = held_out.world.exact(prior(held_out.config, seed, log_weights(0.5)))
        expected = ii.selected(own, held_out.world.choices(seed), discrete, held_out.world.noise_std)(prompts)
        np.testing.assert_allclose(found[place], expected, atol=2e-5)
    ridge = held_out.predictions(held_out.forgotten, batch)
    np.testing.assert_allclose(view.predictions(held_out.forgotten), ridge, atol=1e-4, err_msg="no move for ridge")
    assert np.mean(view.log_ratio()[:, :, 1:]) < np.mean(held_out.closeness(batch.prompts)[:, :, 1:]) - 1


def test_damage_has_the_norm_of_the_change_parameter_by_parameter():
    rng = np.random.default_rng(0)
    before = {"a": {"kernel": jnp.asarray(rng.normal(size=(7, 5)), jnp.float32)}, "b": jnp.ones(3, jnp.float32)}
    after = {"a": {"kernel": before["a"]["kernel"] + 0.1}, "b": before["b"], "new": jnp.ones(2)}
    noise = damage(jnp.uint32(3), before, after)
    assert np.linalg.norm(noise["a"]["kernel"]) == pytest.approx(0.1 * 35**0.5, rel=1e-4)
    np.testing.assert_array_equal(noise["b"], 0)
    assert set(noise) == {"a", "b"}, "what fine-tuning added is not there to be damaged"


def test_the_uninformed_answer_is_zero_in_regression_whatever_the_prompt(held_out):
    found = held_out.predictions(Uninformed(held_out.forgotten), held_out.batch("discrete"))
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_rows_name_the_seed_and_n_and_ratios_the_number_of_seeds(held_out):
    rows = held_out.records(np.array([1.0, 2.0]), quantity="loss")
    assert rows[1] == {"quantity": "loss", "seed": 1, "mean": 2.0, "n": 400}
    assert held_out.estimate(Estimate(1.0, 0.1), quantity="x")["seeds"] == 2
    assert np.isnan(held_out.estimate(None, quantity="x")["mean"])
