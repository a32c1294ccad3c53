"""Task inference read off, against enumeration and against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import FAMILIES

from implicit_inference import (
    DiscreteTasks,
    GaussianTasks,
    Mixture,
    Prompts,
    component_posterior,
    entropy,
    log_posterior_odds,
    posterior_predictive,
    sample_batch,
    sequential_evidence,
    task_posterior,
)
from implicit_inference.bench.oracle import dense_mixture, dense_predictive, dense_tasks, worst_error

PROMPTS = sample_batch(jax.random.key(0), GaussianTasks(jnp.zeros(3)), 6, 5, 0.4).prompts
DISCRETE = DiscreteTasks(jax.random.normal(jax.random.key(1), (4, 3)), jnp.array([0.0, 1.0, -jnp.inf, 2.0]))


@pytest.mark.parametrize("family", FAMILIES)
def test_evidence_of_every_prefix(family):
    tasks = FAMILIES[family](np.random.default_rng(0), 3)
    evidence = jax.jit(sequential_evidence)(tasks, PROMPTS, 0.4)
    assert evidence.shape == (6, 6)
    expected = np.concatenate([[0], np.cumsum(dense_predictive(tasks, PROMPTS.xs[1], PROMPTS.ys[1], 0.4)[1])])
    assert worst_error(evidence[1], expected) < 1e-5


def test_gaussian_evidence_is_the_joint_density():
    """log N(y; X mu, tau^2 X X^T + sigma^2 I), written with a determinant and an inverse."""
    mean = np.array([1.0, 0.0, -1.0])
    evidence = sequential_evidence(GaussianTasks(jnp.float32(mean), 0.8), PROMPTS, 0.4)
    for b in range(6):
        xs, residuals = np.float64(PROMPTS.xs[b]), np.float64(PROMPTS.ys[b]) - np.float64(PROMPTS.xs[b]) @ mean
        covariance = 0.64 * xs @ xs.T + 0.16 * np.eye(5)
        log_density = -0.5 * residuals @ np.linalg.inv(covariance) @ residuals
        log_density -= 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
        np.testing.assert_allclose(evidence[b, -1], log_density, rtol=1e-5)


def test_odds_are_the_logit_of_the_posterior():
    mixture = Mixture((DISCRETE, GaussianTasks(jnp.zeros(3)), GaussianTasks(jnp.ones(3), 0.1)), jnp.zeros(3))
    odds = jax.jit(log_posterior_odds)(mixture, PROMPTS, 0.4)
    assert odds.shape == (6, 5, 3)
    np.testing.assert_allclose(jax.nn.sigmoid(odds), component_posterior(mixture, PROMPTS, 0.4), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_odds_hold_where_the_posterior_has_rounded(scale):
    mixture = Mixture((DISCRETE, GaussianTasks(jnp.zeros(3))), jnp.array([np.log(1e-9), 0.0]))
    far = Prompts(PROMPTS.xs, scale * PROMPTS.ys)
    odds = log_posterior_odds(mixture, far, 0.01)
    for b in range(6):
        parts = [dense_predictive(c, far.xs[b], far.ys[b], 0.01) for c in mixture.components]
        past = np.cumsum(parts[0][1] - parts[1][1])[:-1]
        expected = np.log(1e-9) + np.concatenate([[0], past])
        assert worst_error(odds[b, :, 0], expected) < 1e-5
        assert worst_error(odds[b, :, 1], -expected) < 1e-5
        assert worst_error(jax.nn.sigmoid(odds[b]), dense_mixture(parts, mixture.log_weights)[1]) < 1e-5


def test_posterior_over_tasks_and_its_entropy():
    posterior = jax.jit(task_posterior)(DISCRETE, PROMPTS, 0.4)
    assert posterior.shape == (6, 5, 4)
    np.testing.assert_array_equal(posterior[..., 2], 0.0)
    np.testing.assert_allclose(posterior[:, 0], jnp.tile(jax.nn.softmax(DISCRETE.log_probs), (6, 1)), rtol=1e-5)
    for b in range(6):
        assert worst_error(posterior[b], dense_tasks(DISCRETE, PROMPTS.xs[b], PROMPTS.ys[b], 0.4)) < 1e-5
    safe = np.where(posterior > 0, posterior, 1.0)
    np.testing.assert_allclose(entropy(posterior), -(safe * np.log(safe)).sum(-1), atol=1e-6)
    uniform = task_posterior(DiscreteTasks(DISCRETE.ws), PROMPTS, 0.4)
    np.testing.assert_allclose(entropy(uniform)[:, 0], np.log(4), rtol=1e-5)


def test_the_posterior_recovers_the_task():
    tasks = DiscreteTasks(jax.random.normal(jax.random.key(3), (64, 8)))
    batch = sample_batch(jax.random.key(4), tasks, 100, 30, 0.3)
    posterior = task_posterior(tasks, batch.prompts, 0.3)[:, -1]
    np.testing.assert_array_equal(posterior.argmax(-1), batch.component)
    assert float(entropy(posterior).max()) < 0.1


@jax.jit
def readings(tasks, prompts):
    """Every reading of a prompt under a mixture of the tasks with a Gaussian prior, by name."""
    mixture = Mixture((tasks, GaussianTasks(jnp.zeros(3))), jnp.zeros(2))
    found, components = posterior_predictive(mixture, prompts, 0.4), component_posterior(mixture, prompts, 0.4)
    return {
        "mean": found.mean,
        "log density": found.log_density,
        "components": components,
        "odds": log_posterior_odds(mixture, prompts, 0.4),
        "entropy": entropy(components),
    }


NESTED = pytest.mark.parametrize("family", ["discrete", "own noise", "mixture with features"])


@NESTED
def test_after_a_label_of_nan_nothing_is_known_and_an_infinite_one_tells_nothing_apart(family):
    """All that stands before the label, and in other prompts, keeps every bit."""
    tasks, labels = FAMILIES[family](np.random.default_rng(0), 3), (np.nan, np.inf, -np.inf, 3e38, -3e38)
    broken = readings(tasks, Prompts(PROMPTS.xs, PROMPTS.ys.at[1:, 1].set(jnp.array(labels))))
    for name, sound in readings(tasks, PROMPTS).items():
        first, found = (1 if name == "log density" else 2), broken[name]
        np.testing.assert_array_equal(found[0], sound[0])
        np.testing.assert_array_equal(found[:, :first], sound[:, :first])
        assert np.isnan(found[1, first:]).all(), name
        assert np.isfinite(found[2:]).all(), name
    np.testing.assert_array_equal(broken["log density"][2:4, 1], np.finfo(np.float32).min)
    sound = readings(tasks, PROMPTS)["odds"]
    np.testing.assert_allclose(broken["odds"][2:4, 2], sound[2:4, 1], rtol=1e-5)


@NESTED
@pytest.mark.parametrize(("n", "length"), [(0, 5), (3, 0), (0, 0)])
def test_no_prompts_and_no_labels_give_empty_arrays(family, n, length):
    empty = Prompts(jnp.zeros((n, length, 3)), jnp.zeros((n, length)))
    tasks = FAMILIES[family](np.random.default_rng(0), 3)
    for name, found in readings(tasks, empty).items():
        assert found.shape == ((n, length, 2) if name in ("components", "odds") else (n, length))
        assert found.dtype == jnp.float32
    np.testing.assert_array_equal(sequential_evidence(tasks, empty, 0.4), np.zeros((n, length + 1)))
