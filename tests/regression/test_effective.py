import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference import (
    DiscreteTasks,
    GaussianTasks,
    Identity,
    Prompts,
    RotateInputs,
    ScaleLabels,
    bayes_predictor,
    conjugated,
    effective_gate,
    posterior_predictive,
    rank_correlation,
)
from implicit_inference.bayes.effective import LOGITS
from implicit_inference.regression import effective
from implicit_inference.regression.effective import predicted_recovery, shifted_prior
from implicit_inference.regression.prompts import sample_batch

GAUSSIAN = GaussianTasks(jnp.zeros(3), jnp.array(1.0))
DISCRETE = DiscreteTasks(jax.random.normal(jax.random.key(0), (4, 3)))
NOISE = jnp.array(0.8)
WORLD = (DISCRETE, GAUSSIAN)

effective_prior, excess = jax.jit(effective.effective_prior), jax.jit(effective.excess)
excess_attribution = jax.jit(effective.excess_attribution)
log_evidence_ratio, moved_odds = jax.jit(effective.log_evidence_ratio), jax.jit(effective.moved_odds)
shifted_excess = jax.jit(effective.shifted_excess)
conjugate = jax.jit(lambda predictor, conjugation, shown: conjugated(predictor, conjugation)(shown))


@functools.partial(jax.jit, static_argnums=2)
def sample(key, tasks, n):
    return sample_batch(key, tasks, n, 8, NOISE)


def gaussian_batch(seed=1, n=300):
    return sample(jax.random.key(seed), GAUSSIAN, n)


def prompts(seed=1, n=300):
    halves = [sample(jax.random.key(seed + i), tasks, n).prompts for i, tasks in enumerate((GAUSSIAN, DISCRETE))]
    return Prompts(*(jnp.concatenate([getattr(half, name) for half in halves]) for name in ("xs", "ys")))


@jax.jit
def mixture(logit, shown):
    return posterior_predictive(shifted_prior(*WORLD, logit), shown, NOISE).mean


@jax.jit
def ridge(shown):
    return posterior_predictive(GAUSSIAN, shown, NOISE).mean


def noise_like(shown, std=0.5, seed=3):
    return std * jax.random.normal(jax.random.key(seed), shown.ys.shape)


@pytest.mark.parametrize("logit", [-3.0, 0.0, 1.7, 9.0])
def test_an_exact_mixture_has_its_own_prior_and_no_residual(logit):
    shown = prompts()
    found = effective_prior(mixture(logit, shown), *WORLD, shown, NOISE)
    assert found.logit == pytest.approx(logit, abs=0.01)
    assert found.residual < 1e-6
    assert found.bound == 0


def test_noise_on_ridge_is_residual_and_not_prior():
    shown = prompts()
    noise = noise_like(shown)
    found = effective_prior(ridge(shown) + noise, *WORLD, shown, NOISE)
    assert found.logit < -5
    assert found.bound == -1
    assert found.residual == pytest.approx(float(jnp.mean(noise**2)), rel=0.01)


@pytest.mark.parametrize(("family", "bound"), [(0, 1), (1, -1)])
def test_what_answers_for_one_family_alone_has_no_limit_on_that_side(family, bound):
    shown = prompts()
    found = effective_prior(posterior_predictive(WORLD[family], shown, NOISE).mean, *WORLD, shown, NOISE)
    assert LOGITS[0] <= found.logit <= LOGITS[1]
    assert found.bound == bound


def attributed(before, after):
    """Three seeds of networks `prompts -> predictions`: the rise on the line and off it, Gaussian prompts."""
    parts = []
    for seed in (10, 20, 30):
        shown = gaussian_batch(seed + 5, 3000).prompts
        first, last = (excess_attribution(f(shown), *WORLD, shown, NOISE) for f in (before, after))
        parts.append([np.mean(np.asarray(new - old)[1:]) for new, old in zip(last, first, strict=True)])
    return np.array(parts).T


def test_the_forgetting_of_an_exact_mixture_is_on_the_line():
    """But for what is lost by one weight for a bin, in which the odds differ."""
    on_line, off_line = attributed(lambda p: mixture(-0.4, p), lambda p: mixture(3.0, p))
    assert np.all(on_line > 0.1)
    assert np.all(np.abs(off_line) < 0.02 * on_line)


def test_noise_on_ridge_is_off_the_line():
    on_line, off_line = attributed(ridge, lambda p: ridge(p) + noise_like(p))
    np.testing.assert_allclose(on_line + off_line, 0.25, rtol=0.05)
    assert np.all(on_line < 0.01 * off_line), "one weight for hundreds of predictions fits next to none of their noise"


def test_a_shift_and_noise_are_told_apart():
    on_line, off_line = attributed(lambda p: mixture(0.0, p), lambda p: mixture(3.0, p) + noise_like(p))
    np.testing.assert_allclose(off_line, 0.25, atol=0.02)
    assert np.all(on_line > 0.1)


def test_the_parts_of_an_excess_add_up_at_every_position():
    shown = gaussian_batch(4).prompts
    predictions = mixture(2.0, shown) + noise_like(shown)
    parts = excess_attribution(predictions, *WORLD, shown, NOISE)
    np.testing.assert_allclose(parts.on_line + parts.off_line, excess(predictions, GAUSSIAN, shown, NOISE), rtol=1e-5)
    assert np.all(np.asarray(parts) >= 0)


def test_the_excess_is_the_loss_above_ridge_in_expectation():
    batch = gaussian_batch(n=20_000)
    predictions, exact = mixture(2.0, batch.prompts), ridge(batch.prompts)
    above = (predictions - batch.clean_labels) ** 2 - (exact - batch.clean_labels) ** 2
    stderr = np.std(above, axis=0) / np.sqrt(len(above))
    assert np.all(np.abs(excess(predictions, GAUSSIAN, batch.prompts, NOISE) - above.mean(axis=0)) < 4 * stderr)


def test_the_predicted_recovery_is_that_of_the_mixture_itself():
    """Against losses to the truth, written out; the identity recovers nothing, going back in log odds everything."""
    batch, scales = gaussian_batch(n=20_000), [ScaleLabels(g) for g in (0.5, 1.5, 2.0, 3.0)]
    logits = (jnp.array(0.3), jnp.array(4.0))
    rho = predicted_recovery(logits, [Identity(), *scales], *WORLD, batch.prompts, NOISE, slice(1, 4))

    def loss(logit, conjugation):
        moved = conjugate(bayes_predictor(shifted_prior(*WORLD, logit), NOISE), conjugation, batch.prompts)
        return float(jnp.mean((moved - batch.clean_labels)[:, 1:4] ** 2))

    before, after = (loss(logit, Identity()) for logit in logits)
    expected = [(after - loss(logits[1], s)) / (after - before) for s in (Identity(), *scales)]
    np.testing.assert_allclose(rho, expected, rtol=0.02, atol=0.03)
    assert rho[0] == pytest.approx(0.0, abs=1e-5)
    assert rho[1] < 0 < rho[2] < rho[3]


def test_the_gate_of_an_exact_mixture_is_its_posterior():
    shown, logit, edges = prompts(n=2000), 1.0, (-3.0, -1.0, 0.0, 1.0, 3.0)
    odds = np.asarray(log_evidence_ratio(*WORLD, shown, NOISE))
    first, second = (np.asarray(posterior_predictive(t, shown, NOISE).mean) for t in WORLD)
    gate = effective_gate(np.asarray(mixture(logit, shown)), first, second, odds, edges)
    assert gate.n.sum() == odds.size
    posterior, weights = 0.5 + 0.5 * np.tanh((odds + logit) / 2), (first - second) ** 2
    for b in range(len(edges) + 1):
        inside = np.digitize(odds, edges) == b
        exact = np.sum((posterior * weights)[inside]) / np.sum(weights[inside])
        assert gate.coefficient[b] == pytest.approx(exact, abs=1e-4)
    assert np.all(np.diff(gate.coefficient) > 0)


def test_a_constant_gate_with_noise_is_found_within_its_standard_error():
    shown = prompts(n=2000)
    odds = np.asarray(log_evidence_ratio(*WORLD, shown, NOISE))
    first, second = (np.asarray(posterior_predictive(t, shown, NOISE).mean) for t in WORLD)
    gates = [
        effective_gate(second + 0.3 * (first - second) + np.asarray(noise_like(shown, 1.0, seed)), first, second, odds)
        for seed in range(20)
    ]
    z = np.array([(gate.coefficient - 0.3) / gate.stderr for gate in gates])
    assert np.sqrt(np.nanmean(z**2)) == pytest.approx(1.0, abs=0.15)


def test_theory_ranks_label_scales_as_the_mixture_does():
    """Larger scales move the log odds further away from the discrete set; a rotation moves them nowhere on average."""
    shown = gaussian_batch(n=4000).prompts
    turn = RotateInputs(jnp.eye(3)[jnp.array([1, 2, 0])])
    cases = [ScaleLabels(g) for g in (0.5, 1.0, 1.5, 2.0, 3.0)]
    moved = np.array([float(jnp.mean(moved_odds(s, *WORLD, shown, NOISE)[:, 1:])) for s in cases])
    loss = np.array([float(jnp.mean(shifted_excess(3.0, *WORLD, shown, NOISE, s)[1:])) for s in cases])
    assert moved[1] == 0
    assert rank_correlation(moved, -loss) == pytest.approx((1.0, 1.0))
    still = np.asarray(moved_odds(turn, *WORLD, shown, NOISE))[:, -1]
    assert abs(still.mean()) < 4 * still.std() / np.sqrt(len(still))


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf, -jnp.inf, 1e30])
def test_what_cannot_be_squared_has_no_effective_prior(value):
    shown = prompts()
    found = effective_prior(mixture(0.0, shown).at[3, 2].set(value), *WORLD, shown, NOISE)
    assert all(np.isnan(part) for part in found)


def test_odds_are_one_number_and_may_be_an_integer():
    with pytest.raises(ValueError, match=r"logit has shape \(2,\)"):
        shifted_prior(*WORLD, jnp.zeros(2))
    expected = [-np.log1p(np.exp(-3)), -np.log1p(np.exp(3))]
    np.testing.assert_allclose(shifted_prior(*WORLD, 3).log_weights, expected, rtol=1e-6)


def test_of_no_conjugations_nothing_is_predicted():
    shown = gaussian_batch(n=5).prompts
    assert predicted_recovery((0.0, 3.0), (), *WORLD, shown, NOISE).shape == (0,)
