"""Groups are groups, averages obey Jensen, and the choice among conjugations sees only the past."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import FAMILIES
from hypothesis import given, settings
from hypothesis import strategies as st

from implicit_inference import (
    Chain,
    GaussianTasks,
    Identity,
    Prompts,
    ScaleLabels,
    averaged,
    bayes_predictor,
    conjugated,
    posterior_predictive,
    rotations,
    sample_batch,
    scales,
    selected,
    sign_flips,
)

TASKS = FAMILIES["mixture"](np.random.default_rng(0), 3)
sample = jax.jit(lambda key: sample_batch(key, GaussianTasks(jnp.zeros(3)), 40, 6, 0.5))
BATCH = sample(jax.random.key(0))
turns = jax.jit(rotations, static_argnums=(1, 2))
run = jax.jit(lambda predictor, prompts: predictor(prompts))
evidence = jax.jit(lambda tasks, prompts: posterior_predictive(tasks, prompts, 0.5).log_density.sum(-1))


def test_sign_flips_are_a_group():
    flips = {tuple(np.diag(s.rotation)) for s in sign_flips(3)}
    assert len(flips) == 8
    assert tuple(np.diag(sign_flips(3)[0].rotation)) == (1.0, 1.0, 1.0)
    assert {tuple(np.multiply(a, b)) for a in flips for b in flips} == flips


def test_rotations_are_orthogonal_seeded_and_spread_evenly():
    first, again = (np.stack([s.rotation for s in turns(jax.random.key(0), 4, 200)]) for _ in range(2))
    np.testing.assert_allclose(first @ first.swapaxes(1, 2), np.tile(np.eye(4), (200, 1, 1)), atol=1e-6)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.mean(0)).max() < 4.5 * 0.5 / np.sqrt(200)
    assert np.abs((first**2).mean(0) - 0.25).max() < 4.5 * 0.25 / np.sqrt(200)


def test_average_is_the_mean_of_conjugated_predictions():
    bayes = bayes_predictor(TASKS, 0.5)
    one_kind, two_kinds = scales([0.5, 1.0, -2.0]), (Identity(), ScaleLabels(2.0), Chain((ScaleLabels(-1.0),)))
    for conjugations in (one_kind, two_kinds):
        expected = np.mean([run(conjugated(bayes, s), BATCH.prompts) for s in conjugations], axis=0)
        actual = run(averaged(bayes, conjugations), BATCH.prompts)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def check_jensen(seed):
    prompts = sample(jax.random.key(seed))
    bayes, orbit = bayes_predictor(TASKS, 0.5), turns(jax.random.key(seed), 3, 4)
    loss = lambda predictor: (run(predictor, prompts.prompts) - prompts.clean_labels) ** 2  # noqa: E731
    assert (loss(averaged(bayes, orbit)) <= np.mean([loss(conjugated(bayes, s)) for s in orbit], axis=0) + 1e-5).all()


@settings(max_examples=5)
@given(st.integers(0, 2**31 - 1))
def test_loss_of_the_average_is_at_most_the_mean_loss(seed):
    check_jensen(seed)


@pytest.mark.slow
@settings(max_examples=500)
@given(st.integers(0, 2**31 - 1))
def test_loss_of_the_average_is_at_most_the_mean_loss_many_times(seed):
    check_jensen(seed)


def test_average_over_a_group_commutes_with_its_members():
    symmetric = averaged(bayes_predictor(TASKS, 0.5), sign_flips(3))
    moved = conjugated(symmetric, sign_flips(3)[5])
    np.testing.assert_allclose(run(moved, BATCH.prompts), run(symmetric, BATCH.prompts), rtol=1e-4, atol=1e-4)


def test_the_least_likely_past_is_selected():
    """Against a loop over positions and conjugations; the empty past keeps the first."""
    bayes, grid = bayes_predictor(TASKS, 0.5), (ScaleLabels(1.0), ScaleLabels(0.5), ScaleLabels(-2.0))
    discrete = TASKS.components[0]
    actual = run(selected(bayes, grid, discrete, 0.5), BATCH.prompts)
    candidates = np.stack([run(conjugated(bayes, s), BATCH.prompts) for s in grid])
    np.testing.assert_allclose(actual[:, 0], candidates[0][:, 0], rtol=1e-5)
    for k in range(1, 6):
        shown = [s.apply(Prompts(BATCH.prompts.xs[:, :k], BATCH.prompts.ys[:, :k])) for s in grid]
        choice = np.argmin([evidence(discrete, p) for p in shown], axis=0)
        np.testing.assert_allclose(actual[:, k], candidates[choice, np.arange(40), k], rtol=1e-4, atol=1e-5)


def test_selection_is_causal():
    predictor = selected(bayes_predictor(TASKS, 0.5), scales([1.0, -1.0, 2.0]), TASKS.components[0], 0.5)
    changed = Prompts(BATCH.prompts.xs, BATCH.prompts.ys.at[:, 3:].add(7.0))
    np.testing.assert_array_equal(run(predictor, changed)[:, :4], run(predictor, BATCH.prompts)[:, :4])


def test_without_conjugations_there_is_nothing_to_average_or_to_choose():
    for build in (lambda: averaged(bayes_predictor(TASKS, 0.5), ()), lambda: selected(sum, (), TASKS, 0.5)):
        with pytest.raises(ValueError, match=r"conjugations = \(\): at least 1"):
            build()


def test_a_past_of_nan_chooses_nothing():
    """Whatever the predictor says; positions up to the label of nan, and other prompts, keep their choice."""
    predictor = selected(lambda prompts: jnp.ones_like(prompts.ys), scales([1.0, 2.0]), TASKS.components[0], 0.5)
    broken = predictor(Prompts(BATCH.prompts.xs, BATCH.prompts.ys.at[0, 2].set(jnp.nan)))
    expected = np.array(predictor(BATCH.prompts))
    expected[0, 3:] = np.nan
    np.testing.assert_array_equal(broken, expected)
