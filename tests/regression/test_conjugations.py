"""The laws of conjugation, for every conjugation and every task distribution, in float64."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import CONJUGATIONS, FAMILIES, LINEAR, leaves_close, prompt, seeds, shapes, stds
from hypothesis import given, settings
from hypothesis import strategies as st

from implicit_inference import (
    Chain,
    GaussianTasks,
    Identity,
    Prompts,
    ScaleInputs,
    ScaleLabels,
    ShiftLabels,
    bayes_predictor,
    conjugated,
    posterior_predictive,
    sample_batch,
)

predict = jax.jit(posterior_predictive)
FEW, MANY = settings(max_examples=4), settings(max_examples=200)
each_conjugation = pytest.mark.parametrize("conjugation", CONJUGATIONS)
each_pair = pytest.mark.parametrize(
    ("family", "conjugation"),
    [
        pair
        for pair in itertools.product(FAMILIES, CONJUGATIONS)
        if pair[0] in LINEAR or pair[1] in ("identity", "scale labels", "empty chain")
    ],
)


def log_jacobian(conjugation, prompts):
    """log |det d apply(y) / dy| of each prompt, by differentiating `apply`."""

    def one(xs, ys):
        jacobian = jax.jacrev(lambda ys: conjugation.apply(Prompts(xs[None], ys[None])).ys[0])(ys)
        return np.linalg.slogdet(jacobian)[1]

    return np.array([one(xs, ys) for xs, ys in zip(prompts.xs, prompts.ys, strict=True)])


def check_push_law(family, conjugation, data):
    """Bayes(push(prior)) on apply(prompt), undone, is Bayes(prior) on prompt; the evidence differs by the Jacobian."""
    with jax.enable_x64(True):
        (length, d), rng = data.draw(shapes), data.draw(seeds)
        tasks, prompts, noise_std = FAMILIES[family](rng, d), prompt(rng, length, d), jnp.array(data.draw(stds))
        s = CONJUGATIONS[conjugation](data.draw, rng, d)
        pushed_tasks, pushed_noise = s.push(tasks, noise_std)
        pushed = predict(pushed_tasks, s.apply(prompts), jnp.asarray(pushed_noise))
        expected = predict(tasks, prompts, noise_std)
        leaves_close(s.undo(pushed.mean, prompts), expected.mean, 1e-8)
        difference = expected.log_density.sum(-1) - pushed.log_density.sum(-1)
        scale = max(1.0, float(jnp.abs(pushed.log_density).sum(-1).max()))
        np.testing.assert_allclose(difference, log_jacobian(s, prompts), rtol=0, atol=1e-9 * scale)


@each_pair
@FEW
@given(data=st.data())
def test_push_law(family, conjugation, data):
    check_push_law(family, conjugation, data)


@pytest.mark.slow
@each_pair
@MANY
@given(data=st.data())
def test_push_law_many_times(family, conjugation, data):
    check_push_law(family, conjugation, data)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(LINEAR)))
@pytest.mark.parametrize("conjugation", ["scale inputs", "rotate inputs", "shift labels", "chain"])
def test_a_fixed_feature_map_refuses_what_it_cannot_follow(family, conjugation):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        s = CONJUGATIONS[conjugation](lambda _: 2.0, rng, 3)
        with pytest.raises(ValueError, match="is preserved by label scales only, not"):
            s.push(FAMILIES[family](rng, 3), 1.0)


@each_conjugation
@FEW
@given(data=st.data())
def test_the_inverse_leads_back(conjugation, data):
    with jax.enable_x64(True):
        (length, d), rng = data.draw(shapes), data.draw(seeds)
        s, prompts = CONJUGATIONS[conjugation](data.draw, rng, d), prompt(rng, length, d)
        leaves_close(s.inverse().apply(s.apply(prompts)), prompts)
        leaves_close(s.apply(s.inverse().apply(prompts)), prompts)
        predictions = jnp.array(rng.normal(size=(2, length)))
        there_and_back = s.inverse().undo(s.undo(predictions, prompts), s.apply(prompts))
        leaves_close(there_and_back, predictions)
        tasks = LINEAR["mixture of mixtures"](rng, d)
        back, noise_std = s.inverse().push(*s.push(tasks, jnp.array(0.7)))
        np.testing.assert_allclose(noise_std, 0.7)
        leaves_close(_up_to_sign_of_roots(back), _up_to_sign_of_roots(tasks))


def _up_to_sign_of_roots(tasks):
    """A square root of a covariance may come back with another sign: compare predictions instead."""
    rng = np.random.default_rng(5)
    return predict(tasks, prompt(rng, 4, tasks.dim), 0.7)


@FEW
@given(data=st.data())
def test_chains_are_associative_and_identity_is_neutral(data):
    with jax.enable_x64(True):
        (length, d), rng = data.draw(shapes), data.draw(seeds)
        prompts, predictions = prompt(rng, length, d), jnp.array(rng.normal(size=(2, length)))
        a, b, c = (CONJUGATIONS[data.draw(st.sampled_from(sorted(CONJUGATIONS)))](data.draw, rng, d) for _ in range(3))
        flat = Chain((a, b, c))
        for s in (Chain((Chain((a, b)), c)), Chain((a, Chain((b, c)))), Chain((Identity(), a, b, Identity(), c))):
            leaves_close(s.apply(prompts), flat.apply(prompts))
            leaves_close(s.undo(predictions, prompts), flat.undo(predictions, prompts))
            tasks = LINEAR["gaussian"](rng, d)
            leaves_close(s.push(tasks, jnp.array(0.5)), flat.push(tasks, jnp.array(0.5)))


@pytest.mark.parametrize("factor", [1e-3, 0.5, -1.0, 1.5, 1e3])
def test_label_scale_leaves_ridge_unchanged(factor):
    """Ridge depends on sigma / tau alone, so belief in the original noise changes nothing; in float32, to rounding."""
    prompts = sample_batch(jax.random.key(0), GaussianTasks(jnp.zeros(4)), 16, 9, 0.5).prompts
    ridge = bayes_predictor(GaussianTasks(jnp.zeros(4), 1.3), 0.5)
    run = jax.jit(lambda predictor: predictor(prompts))
    np.testing.assert_allclose(run(conjugated(ridge, ScaleLabels(factor))), run(ridge), rtol=1e-5, atol=1e-5)


def test_label_scale_moves_the_discrete_posterior():
    tasks = FAMILIES["discrete"](np.random.default_rng(0), 3)
    prompts = sample_batch(jax.random.key(0), GaussianTasks(jnp.zeros(3)), 16, 9, 0.5).prompts
    bayes = bayes_predictor(tasks, 0.5)
    assert float(jnp.abs(conjugated(bayes, ScaleLabels(2.0))(prompts) - bayes(prompts)).max()) > 0.1


def test_a_conjugated_predictor_is_a_pytree():
    """It jits as an argument, and its strength can be mapped and differentiated."""
    prompts = sample_batch(jax.random.key(0), GaussianTasks(jnp.zeros(3)), 4, 5, 0.5).prompts
    bayes = bayes_predictor(FAMILIES["discrete"](np.random.default_rng(0), 3), 0.5)
    run = jax.jit(lambda predictor, prompts: predictor(prompts))
    strengths = jnp.array([0.5, 1.0, 2.0])
    mapped = jax.vmap(lambda g: conjugated(bayes, Chain((ScaleLabels(g), ScaleInputs(g))))(prompts))(strengths)
    for i, g in enumerate(strengths):
        one = run(conjugated(bayes, Chain((ScaleLabels(g), ScaleInputs(g)))), prompts)
        np.testing.assert_allclose(mapped[i], one, rtol=1e-5, atol=1e-6)
    loss = lambda shift: jnp.sum(conjugated(bayes, ShiftLabels(shift))(prompts) ** 2)  # noqa: E731
    gradient = jax.jit(jax.grad(loss))(jnp.array([0.1, 0.2, 0.3]))
    step = jnp.array([0.0, 1e-2, 0.0])
    difference = (loss(jnp.array([0.1, 0.21, 0.3])) - loss(jnp.array([0.1, 0.19, 0.3]))) / (2 * step[1])
    np.testing.assert_allclose(gradient[1], difference, rtol=2e-2)


def drawn(conjugation):
    return CONJUGATIONS[conjugation](lambda _: 2.0, np.random.default_rng(0), 3)


@each_conjugation
def test_predictions_and_labels_that_do_not_fit_are_refused(conjugation):
    s, prompts = drawn(conjugation), prompt(np.random.default_rng(0), 4, 3)
    for shape in ((), (4,), (2, 1), (1, 4)):
        with pytest.raises(ValueError, match=r"predictions has shape .*ys have shape \(2, 4\)"):
            s.undo(jnp.ones(shape), prompts)
    for shape in ((4,), (2, 1), (2, 4, 1)):
        with pytest.raises(ValueError, match="ys has shape"):
            s.apply(Prompts(prompts.xs, jnp.ones(shape)))
    if conjugation == "rotate inputs":
        with pytest.raises(ValueError, match="rotation"):
            s.undo(jnp.ones((2, 4)), prompt(np.random.default_rng(0), 4, 2))


@each_conjugation
def test_integers_are_moved_as_equal_floating_point(conjugation):
    """Labels of 100 in 8 bits, doubled, would wrap."""
    s, (xs, ys) = drawn(conjugation), (jnp.ones((1, 2, 3), jnp.int8), jnp.array([[100, 3]], jnp.int8))
    whole, real = Prompts(xs, ys), Prompts(jnp.float32(xs), jnp.float32(ys))
    assert all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(s.apply(whole)))
    leaves_close(s.apply(whole), s.apply(real), 1e-6)
    leaves_close(s.undo(ys, whole), s.undo(jnp.float32(ys), real), 1e-6)
    leaves_close(s.inverse().apply(s.apply(whole)), real, 1e-5)


@each_conjugation
@pytest.mark.parametrize(("n", "length"), [(0, 4), (2, 0)])
def test_nothing_stays_nothing(conjugation, n, length):
    s, empty = drawn(conjugation), Prompts(jnp.zeros((n, length, 3)), jnp.zeros((n, length)))
    moved = s.apply(empty)
    assert (moved.xs.shape, moved.ys.shape) == ((n, length, 3), (n, length))
    assert s.undo(empty.ys, empty).shape == (n, length)


def test_unsigned_parameters_and_noise_that_is_no_number():
    assert ShiftLabels(jnp.array([1, 2], jnp.uint8)).inverse().shift.tolist() == [-1.0, -2.0]
    with jax.numpy_dtype_promotion("standard"):
        assert ScaleLabels(jnp.int8(-128)).push(GaussianTasks(jnp.zeros(2)), 1.0)[1] == 128.0
    with pytest.raises(ValueError, match=r"noise_std has shape \(3,\)"):
        ScaleLabels(2.0).push(GaussianTasks(jnp.zeros(3)), jnp.ones(3))
