"""Samplers have the moments they promise, and `push` is the law of the mapped tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import FAMILIES, LINEAR, leaves_close

from implicit_inference import DiscreteTasks, GaussianTasks, Mixture, OwnNoise, posterior_predictive, sample_batch
from implicit_inference.regression.tasks import WeightMap

N = 20000


def within_errors(samples, expected, deviations=4.5):
    """The mean over the first axis is `expected` up to that many standard errors."""
    error = np.std(samples, axis=0) / np.sqrt(len(samples))
    assert (np.abs(np.mean(samples, axis=0) - expected) <= deviations * error + 1e-6).all()


def test_gaussian_moments():
    mean = jnp.array([1.0, -2.0, 0.5])
    ws, component = GaussianTasks(mean, 0.7).draw(jax.random.key(0), N)
    within_errors(ws, mean)
    deviations = np.asarray(ws - mean[None])
    within_errors(deviations[:, :, None] * deviations[:, None, :], 0.49 * np.eye(3))
    assert (component == 0).all()


def test_discrete_frequencies():
    ws = jnp.arange(6.0).reshape(3, 2)
    for log_probs, probs in ((None, [1 / 3] * 3), (jnp.array([0.0, -jnp.inf, np.log(3.0)]), [0.25, 0.0, 0.75])):
        drawn, index = DiscreteTasks(ws, log_probs).draw(jax.random.key(1), N)
        np.testing.assert_array_equal(drawn, ws[index])
        within_errors(np.eye(3)[index], probs)


def test_mixture_frequencies_and_nesting():
    points = [DiscreteTasks(jnp.full((1, 2), float(i))) for i in range(3)]
    nested = Mixture(
        (Mixture((points[0], points[1]), jnp.log(jnp.array([0.2, 0.8]))), points[2]), jnp.array([0.0, 0.0])
    )
    ws, component = nested.draw(jax.random.key(2), N)
    within_errors(np.eye(3)[np.int32(ws[:, 0])], [0.1, 0.4, 0.5])
    np.testing.assert_array_equal(component, ws[:, 0] == 2)


def test_a_component_of_weight_zero_is_never_drawn():
    mixture = Mixture((DiscreteTasks(jnp.zeros((1, 2))), GaussianTasks(jnp.ones(2))), jnp.array([-jnp.inf, 0.0]))
    assert (mixture.draw(jax.random.key(0), 1000)[1] == 1).all()


@pytest.mark.parametrize("family", LINEAR)
def test_push_is_the_law_of_the_mapped_tasks(family):
    """First and second moments of push(law) and of mapped draws, up to Monte Carlo error."""
    rng = np.random.default_rng(0)
    rotation = jnp.array(np.linalg.qr(rng.normal(size=(2, 2)))[0])
    weight_map = WeightMap(jnp.array(-1.5), jnp.array(0.5), rotation, jnp.array([1.0, 2.0]))
    tasks = LINEAR[family](rng, 2)
    mapped = np.asarray(weight_map(tasks.sample(jax.random.key(0), N)))
    pushed = np.asarray(tasks.push(weight_map).sample(jax.random.key(1), N))
    for moment in (lambda w: w, lambda w: np.tanh(w) ** 2, lambda w: np.tanh(w[:, 0] * w[:, 1])):
        a, b = moment(mapped), moment(pushed)
        error = np.sqrt((a.var(0) + b.var(0)) / N)
        assert (np.abs(a.mean(0) - b.mean(0)) < 4.5 * error + 1e-6).all()


def test_weight_map_matches_the_prompts_it_describes():
    """x' = R x / c, y' = g y + <v, x>: then <w', x'> = y'."""
    rng = np.random.default_rng(0)
    w, x, v = jnp.array(rng.normal(size=(3, 4)))
    rotation = jnp.array(np.linalg.qr(rng.normal(size=(4, 4)))[0])
    pushed = WeightMap(-2.0, 3.0, rotation, v)(w)
    np.testing.assert_allclose(pushed @ (rotation @ x / 3.0), -2.0 * w @ x + v @ x, rtol=1e-5)
    np.testing.assert_allclose(WeightMap(-2.0, 3.0).stretch, 6.0)
    np.testing.assert_array_equal(WeightMap()(w), w)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sampler_and_the_posterior_mean_the_same_distribution(family):
    """The error of the posterior mean has mean 0, and is uncorrelated with every prediction and past label."""
    tasks = FAMILIES[family](np.random.default_rng(3), 2)
    batch = sample_batch(jax.random.key(4), tasks, 4000, 5, 0.6)
    mean = jax.jit(posterior_predictive)(tasks, batch.prompts, 0.6).mean
    error = np.asarray(batch.clean_labels - mean)
    bounded = np.tanh(np.asarray(batch.prompts.ys))
    within_errors(error, 0.0)
    within_errors(error * np.tanh(np.asarray(mean)), 0.0)
    within_errors(error[:, 1:] * bounded[:, :-1], 0.0)


def test_answers_of_components_with_other_features_and_other_noise():
    """A mixture of a linear and a polynomial family, the second with noise of its own: each row keeps its part."""
    polynomial = OwnNoise(FAMILIES["polynomial"](np.random.default_rng(0), 2), 3.0)
    mixture = Mixture((GaussianTasks(jnp.zeros(2)), polynomial), jnp.zeros(2))
    xs = jax.random.normal(jax.random.key(0), (500, 4, 2))
    answers = mixture.answer(jax.random.key(1), xs, 0.5)
    linear = np.asarray(answers.component == 0)
    assert answers.ws.shape == (500, 6)
    np.testing.assert_array_equal(answers.noise_std, np.where(linear, 0.5, 3.0))
    np.testing.assert_array_equal(answers.ws[linear, 2:], 0.0)
    by_hand = jnp.einsum("nkd,nd->nk", xs, answers.ws[:, :2])
    np.testing.assert_allclose(answers.clean_labels[linear], by_hand[linear], rtol=1e-5, atol=1e-5)
    by_hand = jnp.einsum("nkm,nm->nk", polynomial.tasks.features(xs), answers.ws)
    np.testing.assert_allclose(answers.clean_labels[~linear], by_hand[~linear], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(mixture.draw(jax.random.key(1), 500)[0], answers.ws)


@pytest.mark.parametrize("family", FAMILIES)
def test_maps_inputs_and_noise_that_do_not_fit_a_family_are_refused(family):
    """Arrays of length 1 too, which would broadcast."""
    tasks, xs = FAMILIES[family](np.random.default_rng(0), 3), jnp.zeros((2, 4, 3))
    for weight_map in (
        {"shift": jnp.ones(1)},
        {"shift": jnp.ones(2)},
        {"rotation": jnp.eye(1)},
        {"rotation": jnp.eye(2)},
        {"label_scale": jnp.ones(1)},
        {"label_scale": jnp.ones(3)},
        {"input_scale": jnp.ones(3)},
    ):
        with pytest.raises(ValueError, match=next(iter(weight_map))):
            tasks.push(WeightMap(**weight_map))
    for dim in (1, 2):
        with pytest.raises(ValueError, match=rf"xs has shape \(2, 4, {dim}\)"):
            tasks.answer(jax.random.key(0), xs[..., :dim], 1.0)
    if family != "own noise":
        with pytest.raises(ValueError, match=r"noise_std has shape \(2,\)"):
            tasks.answer(jax.random.key(0), xs, jnp.ones(2))


def as_integers(tree):
    return jax.tree.map(lambda x: jnp.asarray(jnp.round(2 * x), jnp.int8), tree)


@pytest.mark.parametrize(
    "family", ["gaussian", "own noise", pytest.param("mixture with features", marks=pytest.mark.slow)]
)
@jax.numpy_dtype_promotion("standard")
def test_tasks_of_integers_are_those_of_equal_floating_point(family):
    """Small integers: products beyond 127 would wrap."""
    whole = as_integers(FAMILIES[family](np.random.default_rng(0), 2))
    whole = jax.tree.map(lambda x: x if x.ndim else jnp.maximum(x, 1), whole)
    real = jax.tree.map(jnp.float32, whole)
    weight_map = WeightMap(label_scale=100)
    batches = [sample_batch(jax.random.key(0), tasks, 3, 4, 1) for tasks in (whole, real)]
    leaves_close(batches[0], batches[1], 1e-6)
    assert batches[0].prompts.ys.dtype == jnp.float32
    for noise_std in (1, jnp.int8(1), jnp.array(True)):
        leaves_close(*(posterior_predictive(tasks, batches[1].prompts, noise_std) for tasks in (whole, real)), 1e-6)
    pushed = [tasks.push(weight_map) for tasks in (whole, real)]
    leaves_close(*(posterior_predictive(tasks, batches[1].prompts, 1) for tasks in pushed), 1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_tasks_and_no_inputs(family):
    tasks = FAMILIES[family](np.random.default_rng(0), 3)
    assert tasks.sample(jax.random.key(0), 0).shape[0] == 0
    batch = sample_batch(jax.random.key(0), tasks, 0, 4, 1.0)
    assert batch.prompts.xs.shape == (0, 4, 3)
    assert batch.component.shape == (0,)
    assert batch.clean_labels.shape == (0, 4)


def test_draws_follow_their_weights_whatever_the_type_of_the_weights_and_the_flags():
    """The weights span more than float16 resolves; the index is that of float32 weights under every flag."""
    probs = np.array([0.001, 0.099, 0.2, 0.7])
    log_weights = np.log(probs) + 7.0
    points = tuple(DiscreteTasks(jnp.full((1, 1), float(i))) for i in range(4))
    discrete = DiscreteTasks(jnp.zeros((4, 1)), jnp.float32(log_weights))
    mixture = Mixture(points, jnp.float32(log_weights))
    drawn = [tasks.draw(jax.random.key(5), N)[1] for tasks in (discrete, mixture)]
    for index in drawn:
        within_errors(np.eye(4)[index], probs)
    with jax.enable_x64(True):
        wide = [
            DiscreteTasks(jnp.zeros((4, 1)), jnp.float64(np.float32(log_weights))),
            Mixture(points, jnp.float64(np.float32(log_weights))),
        ]
        for tasks, expected in zip(wide, drawn, strict=True):
            index = tasks.draw(jax.random.key(5), N)[1]
            assert index.dtype == jnp.int32
            assert np.mean(index != expected) < 1e-4
