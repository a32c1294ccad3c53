import jax
import jax.numpy as jnp
import numpy as np

from implicit_inference import GaussianTasks, Prompts, ScaleLabels, bayes_predictor, conjugated
from implicit_inference.runs.evaluate import PackedEvaluator
from implicit_inference.runs.devices import make_mesh


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
