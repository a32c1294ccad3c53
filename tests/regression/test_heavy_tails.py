"""The finite scale mixture is close to the Student t that it stands for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from implicit_inference import Prompts, scale_mixture, sequential_evidence, student_tasks


@pytest.mark.parametrize(("n_scales", "tolerance"), [(16, 0.05), (32, 0.003)])
@pytest.mark.parametrize("dof", [2.0, 10.0, 100.0])
def test_evidence_is_that_of_a_student_t(dof, n_scales, tolerance):
    """One label at x = 1 with little noise: w itself, out to ten scales."""
    ys = jnp.linspace(-10.0, 10.0, 41)[:, None]
    prompts = Prompts(jnp.ones((41, 1, 1)), ys)
    evidence = jax.jit(sequential_evidence)(student_tasks(jnp.array([0.5]), 1.3, dof, n_scales), prompts, 1e-3)[:, -1]
    expected = stats.t.logpdf(np.asarray(ys[:, 0]), dof, 0.5, 1.3)
    near = expected > -15
    np.testing.assert_allclose(evidence[near], expected[near], atol=tolerance)


def test_samples_follow_the_student_t():
    ws = np.asarray(student_tasks(jnp.zeros(2), 1.0, 3.0).sample(jax.random.key(0), 20000))
    for quantile in (0.05, 0.25, 0.5, 0.9, 0.99):
        below = (ws[:, 0] < stats.t.ppf(quantile, 3.0)).mean()
        assert abs(below - quantile) < 4.5 * np.sqrt(quantile * (1 - quantile) / 20000) + 1e-3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: student_tasks(jnp.zeros(2), jnp.ones(16), 3.0), r"std has shape \(16,\)"),
        (lambda: student_tasks(jnp.zeros(2), 1.0, jnp.ones(16)), r"dof has shape \(16,\)"),
        (lambda: scale_mixture(jnp.zeros(2), jnp.ones(3), jnp.zeros(1)), r"log_weights has shape \(1,\).*3 stds"),
        (lambda: scale_mixture(jnp.zeros(2), jnp.ones((3, 2)), jnp.zeros(3)), r"stds has shape \(3, 2\)"),
        (lambda: scale_mixture(jnp.zeros(2), jnp.ones(()), jnp.zeros(1)), r"stds has shape \(\)"),
    ],
)
def test_scales_that_would_broadcast_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
