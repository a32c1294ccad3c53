import jax
import jax.numpy as jnp
import numpy as np

from implicit_inference import GaussianTasks, Prompts, ScaleLabels, bayes_predictor, conjugated
from implicit_inference.evaluate import PackedEvaluator, binned_rows, position_rows
from implicit_inference.parallel import make_mesh


def test_packed_evaluation_equals_one_predictor_at_a_time():
    xs = jax.random.normal(jax.random.key(0), (2, 7, 4, 3))
    shown = Prompts(xs, xs[..., 0])
    stds, factors = jnp.array([0.5, 2.0]), jnp.array([3.0, -1.0])
    predictors = jax.vmap(lambda std: bayes_predictor(GaussianTasks(jnp.ones(3), std), jnp.array(1.0)))(stds)
    packed = PackedEvaluator(make_mesh(2, 1)).predict(predictors, ScaleLabels(factors), shown)
    for s in range(2):
        exact = bayes_predictor(GaussianTasks(jnp.ones(3), stds[s]), jnp.array(1.0))
        alone = conjugated(exact, ScaleLabels(factors[s]))(Prompts(xs[s], xs[s, ..., 0]))
        np.testing.assert_allclose(packed[s], alone, rtol=1e-5, atol=1e-6)


def test_rows_hold_means_and_standard_errors_over_prompts():
    errors = np.arange(24.0).reshape(2, 3, 4)
    rows = position_rows(errors, (7, 9), predictor="x")
    assert len(rows) == 8
    cell = next(row for row in rows if row["seed"] == 9 and row["position"] == 2)
    values = errors[1, :, 2]
    assert cell["mean"] == values.mean()
    assert cell["stderr"] == values.std(ddof=1) / np.sqrt(3)
    assert (cell["n"], cell["predictor"]) == (3, "x")


def test_bins_are_half_open_and_the_thin_ones_are_left_out():
    errors = np.array([[[1.0, 2.0, 3.0, 5.0, 8.0]]])
    where = np.array([[[-1.0, -0.5, 0.0, 0.5, 9.0]]])
    rows = binned_rows(errors, where, (0.0, 1.0), (3,), predictor="x")
    assert [(row["bin"], row["n"], row["mean"]) for row in rows] == [(0, 2, 1.5), (1, 2, 4.0)]
