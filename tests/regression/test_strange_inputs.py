"""Shapes that do not fit, integers, numbers that are none, nothing at all, and eager calls again and again."""

import gc
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import implicit_inference as ii
from implicit_inference.regression.prompts import to_tokens

D, K = 3, 4
RNG = np.random.default_rng(0)
DISCRETE = ii.DiscreteTasks(jnp.asarray(RNG.normal(size=(5, D)), jnp.float32))
GAUSSIAN = ii.GaussianTasks(jnp.zeros(D), 1.0)
MIXTURE = ii.Mixture((DISCRETE, GAUSSIAN), jnp.log(jnp.array([0.5, 0.5])))
FAMILIES = {
    "discrete": DISCRETE,
    "gaussian": GAUSSIAN,
    "mixture": MIXTURE,
    "correlated": ii.CorrelatedTasks(jnp.zeros(D), jnp.eye(D)),
    "own noise": ii.OwnNoise(GAUSSIAN, 0.5),
    "student": ii.student_tasks(jnp.zeros(D), 1.0, 3.0, 4),
    "features": ii.FeatureTasks(ii.Polynomial(D, 1), ii.GaussianTasks(jnp.zeros(D + 1), 1.0)),
    "streamed": ii.DiscreteTasks(jnp.asarray(RNG.normal(size=(5000, D)), jnp.float32)),
}


def prompts(n=2, length=K, dim=D):
    rng = np.random.default_rng(1)
    return ii.Prompts(
        jnp.asarray(rng.normal(size=(n, length, dim)), jnp.float32),
        jnp.asarray(rng.normal(size=(n, length)), jnp.float32),
    )


P = prompts()
predictive = ii.posterior_predictive
ONE = ii.GaussianTasks(jnp.zeros(1))
TURN = ii.RotateInputs(jnp.eye(D))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: predictive(ii.GaussianTasks(jnp.zeros(3), 1.0), prompts(dim=1), 1.0), ["3", "1"]),
        (lambda: predictive(ONE, P, 1.0), ["1 inputs", "with 3"]),
        (lambda: predictive(ii.GaussianTasks(jnp.zeros(D), jnp.ones(D)), P, 1.0), ["std", "(3,)"]),
        (lambda: ii.GaussianTasks(jnp.zeros(D), jnp.ones(D)).sample(jax.random.key(0), 2), ["std", "(3,)"]),
        (lambda: TURN.push(ii.GaussianTasks(jnp.zeros(D), jnp.ones(D)), 1.0), ["std", "(3,)"]),
        (lambda: predictive(GAUSSIAN, P, jnp.ones(K)), ["noise_std", "(4,)"]),
        (lambda: predictive(GAUSSIAN, ii.Prompts(P.xs, P.ys[:, 1:]), 1.0), ["ys", "(2, 3)", "(2, 4, 3)"]),
        (lambda: predictive(GAUSSIAN, ii.Prompts(P.xs, P.ys[..., None]), 1.0), ["ys", "(2, 4, 1)"]),
        (
            lambda: predictive(ii.DiscreteTasks(DISCRETE.ws, jnp.zeros(1)), P, 1.0),
            ["log_probs", "5 tasks"],
        ),
        (lambda: predictive(ii.DiscreteTasks(jnp.zeros(D)), P, 1.0), ["ws", "(3,)"]),
        (
            lambda: predictive(ii.Mixture((DISCRETE, GAUSSIAN), jnp.zeros(3)), P, 1.0),
            ["log_weights", "(3,)"],
        ),
        (
            lambda: ii.component_posterior(ii.Mixture((DISCRETE, GAUSSIAN), jnp.zeros(1)), P, 1.0),
            ["log_weights", "(1,)"],
        ),
        (lambda: ii.component_posterior(MIXTURE, prompts(dim=1), 1.0), ["3", "1"]),
        (
            lambda: predictive(ii.Mixture((DISCRETE, ONE), jnp.zeros(2)), P, 1.0),
            ["[3, 1]"],
        ),
        (lambda: ii.Mixture((DISCRETE, GAUSSIAN), jnp.zeros(1)).sample(jax.random.key(0), 2), ["log_weights"]),
        (
            lambda: predictive(ii.CorrelatedTasks(jnp.zeros(D), jnp.ones((D, 1))), P, 1.0),
            ["root", "(3, 1)"],
        ),
        (
            lambda: predictive(ii.OwnNoise(GAUSSIAN, jnp.ones(K)), P, 1.0),
            ["noise_std of OwnNoise", "(4,)"],
        ),
        (
            lambda: predictive(ii.FeatureTasks(ii.Polynomial(D, 1), GAUSSIAN), P, 1.0),
            ["4 features", "3 weights"],
        ),
        (lambda: ii.ReLU(jnp.ones((4, D)), jnp.ones(1))(P.xs), ["biases", "(1,)", "4 rows"]),
        (lambda: ii.task_posterior(DISCRETE, prompts(dim=1), 1.0), ["3", "1"]),
        (lambda: ii.sample_batch(jax.random.key(0), GAUSSIAN, 2, K, jnp.ones(2)), ["noise_std", "(2,)"]),
        (lambda: ii.RotateInputs(jnp.eye(2)).apply(P), ["rotation", "(2, 2)", "3 inputs"]),
        (lambda: ii.RotateInputs(jnp.eye(1)).apply(P), ["rotation", "(1, 1)"]),
        (lambda: ii.RotateInputs(jnp.eye(2)).push(GAUSSIAN, 1.0), ["rotation", "(2, 2)"]),
        (lambda: ii.ShiftLabels(jnp.ones(1)).apply(P), ["shift", "(1,)", "3 inputs"]),
        (lambda: ii.ShiftLabels(jnp.ones(1)).push(GAUSSIAN, 1.0), ["shift", "(1,)"]),
        (lambda: ii.ShiftLabels(jnp.ones(D)).undo(jnp.ones(1), P), ["predictions", "(1,)"]),
        (lambda: ii.ScaleLabels(jnp.ones(K)).apply(P), ["factor of ScaleLabels", "(4,)"]),
        (lambda: ii.ScaleLabels(jnp.ones(K)).push(GAUSSIAN, 1.0), ["factor of ScaleLabels", "(4,)"]),
        (lambda: ii.ScaleInputs(jnp.ones(D)).apply(P), ["factor of ScaleInputs", "(3,)"]),
        (lambda: ii.effective_prior(jnp.ones(K), DISCRETE, GAUSSIAN, P, 1.0), ["predictions", "(4,)", "(2, 4)"]),
        (lambda: ii.excess(jnp.ones(1), GAUSSIAN, P, 1.0), ["predictions", "(1,)"]),
        (lambda: ii.excess_attribution(P.ys[0], DISCRETE, GAUSSIAN, P, 1.0), ["predictions"]),
        (lambda: ii.continued(ii.bayes_predictor(GAUSSIAN, 1.0), P, 1, jnp.zeros(K)), ["noise", "(4,)"]),
        (lambda: ii.continued(ii.bayes_predictor(GAUSSIAN, 1.0), P, -2, P.ys), ["start = -2", "0 to 4"]),
        (lambda: ii.continued(ii.bayes_predictor(GAUSSIAN, 1.0), P, 5, P.ys), ["start = 5", "0 to 4"]),
        (lambda: to_tokens("compact", ii.Prompts(P.xs, P.ys[:, 1:])), ["ys"]),
        (lambda: predictive(GAUSSIAN, P, 1.0, digits=20), ["digits = 20", "16, 30"]),
    ],
)
def test_what_does_not_fit_is_named(call, words):
    with pytest.raises(ValueError, match=r"\d") as error:
        call()
    assert str(error.value).isprintable()
    for word in words:
        assert word in str(error.value)


INTEGERS = ii.Prompts(jnp.array([[[1, -2, 0], [0, 1, 1], [2, 0, -1], [1, 1, 1]]]), jnp.array([[1, -2, 3, 0]]))
FLOATS = jax.tree.map(lambda x: x.astype(jnp.float32), INTEGERS)


@jax.numpy_dtype_promotion("standard")
def test_integers_are_numbers_like_others():
    predictor = ii.bayes_predictor(GAUSSIAN, 1.0)
    whole = (
        ii.continued(predictor, INTEGERS, 2, jnp.zeros((1, K))),
        to_tokens("interleaved", ii.Prompts(INTEGERS.xs, FLOATS.ys / 2)),
        to_tokens("compact", INTEGERS),
        ii.posterior_predictive(ii.DiscreteTasks(jnp.array([[1, 0, 2], [0, 1, 1]])), INTEGERS, 1.0),
        ii.GaussianTasks(np.zeros(D, int), 2.0).sample(jax.random.key(0), 5),
        ii.CorrelatedTasks(np.zeros(D, int), np.eye(D, dtype=int)).sample(jax.random.key(0), 5),
        ii.sample_batch(jax.random.key(0), ii.DiscreteTasks(jnp.array([[1, 0, 2]])), 5, K, 1.0).prompts,
        ii.ScaleInputs(2).apply(INTEGERS),
        ii.ShiftLabels(jnp.array([0.5, 0.0, 0.0])).apply(INTEGERS),
    )
    real = (
        ii.continued(predictor, FLOATS, 2, jnp.zeros((1, K))),
        to_tokens("interleaved", ii.Prompts(FLOATS.xs, FLOATS.ys / 2)),
        to_tokens("compact", FLOATS),
        ii.posterior_predictive(ii.DiscreteTasks(jnp.array([[1.0, 0, 2], [0, 1, 1]])), FLOATS, 1.0),
        ii.GaussianTasks(jnp.zeros(D), 2.0).sample(jax.random.key(0), 5),
        ii.CorrelatedTasks(jnp.zeros(D), jnp.eye(D)).sample(jax.random.key(0), 5),
        ii.sample_batch(jax.random.key(0), ii.DiscreteTasks(jnp.array([[1.0, 0, 2]])), 5, K, 1.0).prompts,
        ii.ScaleInputs(2.0).apply(FLOATS),
        ii.ShiftLabels(jnp.array([0.5, 0.0, 0.0])).apply(FLOATS),
    )
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(real), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    answered = ii.continued(predictor, INTEGERS, 2, jnp.zeros((1, K)))
    assert np.any(np.asarray(answered.ys) % 1 != 0)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_label_of_infinity_is_the_least_likely_and_one_of_nan_is_nan(name):
    for label, expected in (
        (np.inf, jnp.finfo(jnp.float32).min),
        (-np.inf, jnp.finfo(jnp.float32).min),
        (np.nan, np.nan),
    ):
        strange = ii.Prompts(P.xs, P.ys.at[0, 1].set(label))
        found = ii.posterior_predictive(FAMILIES[name], strange, 1.0)
        np.testing.assert_array_equal(found.log_density[0, 1], expected)
        still = ii.posterior_predictive(FAMILIES[name], P, 1.0)
        np.testing.assert_array_equal(found.mean[1], still.mean[1])
        np.testing.assert_array_equal(found.mean[0, :2], still.mean[0, :2])
        if np.isinf(label):
            assert np.all(np.isfinite(found.mean))
            assert np.all(np.isfinite(found.log_density))
        else:
            assert np.all(np.isnan(found.mean[0, 2:]))


def test_task_inference_stays_a_probability_after_an_infinite_label_and_is_nan_after_nan():
    for label in (np.inf, np.nan):
        strange = ii.Prompts(P.xs, P.ys.at[0, 1].set(label))
        for posterior in (ii.component_posterior(MIXTURE, strange, 1.0), ii.task_posterior(DISCRETE, strange, 1.0)):
            total = np.asarray(posterior.sum(axis=-1))
            np.testing.assert_allclose(total[0, 2:], np.nan if np.isnan(label) else 1.0, rtol=1e-5)
            np.testing.assert_allclose(total[0, :2], 1.0, rtol=1e-5)


def test_nan_is_no_finding():
    predictions = P.ys.at[0, 0].set(np.nan)
    found = ii.effective_prior(predictions, DISCRETE, GAUSSIAN, P, 1.0)
    assert all(np.isnan(part) for part in found)
    assert np.isnan(ii.excess(predictions, GAUSSIAN, P, 1.0)[0])
    first, second, odds = (np.linspace(0, 1, 8) ** k for k in (1, 2, 3))
    values = np.ones(8)
    values[3] = np.nan
    gate = ii.effective_gate(values, first, second, odds, (0.02,))
    assert np.isnan(gate.coefficient[1])
    assert np.isfinite(ii.effective_gate(np.ones(8), first, second, odds, (0.02,)).coefficient[1])
    unknown = odds.copy()
    unknown[0] = np.nan
    assert np.all(np.isnan(ii.effective_gate(np.ones(8), first, second, unknown, (0.02,)).coefficient))
    assert math.isnan(ii.rank_correlation(values, np.arange(8.0)).kendall)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("n", "length"), [(0, K), (2, 0), (0, 0)])
def test_nothing_in_nothing_out(name, n, length):
    tasks, empty = FAMILIES[name], prompts(n, length)
    found = ii.posterior_predictive(tasks, empty, 1.0)
    assert found.mean.shape == found.log_density.shape == (n, length)
    assert found.mean.dtype == jnp.float32
    np.testing.assert_array_equal(ii.sequential_evidence(tasks, empty, 1.0), np.zeros((n, length + 1)))
    drawn = ii.sample_batch(jax.random.key(0), tasks, n, length, 1.0)
    assert drawn.prompts.xs.shape == (n, length, D)
    assert drawn.prompts.ys.shape == (n, length)


@pytest.mark.parametrize(("n", "length"), [(0, K), (2, 0), (0, 0)])
def test_nothing_in_nothing_out_of_everything_else(n, length):
    empty, predictor = prompts(n, length), ii.bayes_predictor(MIXTURE, 1.0)
    assert ii.component_posterior(MIXTURE, empty, 1.0).shape == (n, length, 2)
    assert ii.log_posterior_odds(MIXTURE, empty, 1.0).shape == (n, length, 2)
    assert ii.task_posterior(DISCRETE, empty, 1.0).shape == (n, length, 5)
    assert ii.entropy(ii.task_posterior(DISCRETE, empty, 1.0)).shape == (n, length)
    assert ii.moved_odds(ii.ScaleLabels(2.0), DISCRETE, GAUSSIAN, empty, 1.0).shape == (n, length)
    for layout, tokens in (("compact", (n, length, 2 * D + 1)), ("interleaved", (n, 2 * length, D))):
        assert to_tokens(layout, empty).shape == tokens
    moves = (*ii.sign_flips(D)[:2], ii.ScaleLabels(2.0), ii.ShiftLabels(jnp.ones(D)))
    for f in (
        ii.averaged(predictor, moves),
        ii.selected(predictor, moves, DISCRETE, 1.0),
        ii.conjugated(predictor, ii.Chain(moves)),
    ):
        assert f(empty).shape == (n, length)
    assert ii.continued(predictor, empty, 0, empty.ys).ys.shape == (n, length)
    assert all(np.isnan(part) for part in ii.effective_prior(empty.ys, DISCRETE, GAUSSIAN, empty, 1.0))


def scaled_density(std):
    return ii.posterior_predictive(ii.GaussianTasks(jnp.zeros(D), std), P, 1.0).log_density.sum()


NETWORK = ii.bayes_predictor(MIXTURE, 1.0)
CALLS = {
    "posterior_predictive": lambda: [ii.posterior_predictive(tasks, P, 1.0) for tasks in FAMILIES.values()],
    "component_posterior": lambda: ii.component_posterior(MIXTURE, P, 1.0),
    "inference": lambda: (
        ii.sequential_evidence(MIXTURE, P, 1.0),
        ii.log_posterior_odds(MIXTURE, P, 1.0),
        ii.task_posterior(DISCRETE, P, 1.0),
    ),
    "grad": lambda: jax.grad(scaled_density)(1.0),
    "vmap": lambda: jax.vmap(lambda one: ii.component_posterior(MIXTURE, one, 1.0))(P),
    "effective": lambda: (
        ii.effective_prior(P.ys, DISCRETE, GAUSSIAN, P, 1.0),
        ii.excess_attribution(P.ys, DISCRETE, GAUSSIAN, P, 1.0),
        ii.predicted_recovery((0.0, 1.0), ii.scales((2.0, 3.0)), DISCRETE, GAUSSIAN, P, 1.0),
        ii.moved_odds(ii.ScaleLabels(2.0), DISCRETE, GAUSSIAN, P, 1.0),
    ),
    "predictors": lambda: (
        ii.conjugated(NETWORK, ii.ScaleLabels(2.0))(P),
        ii.averaged(NETWORK, ii.scales((1.0, -1.0)))(P),
        ii.selected(NETWORK, ii.scales((1.0, -1.0)), DISCRETE, 1.0)(P),
        ii.continued(NETWORK, P, 2, P.ys),
    ),
    "drawing": lambda: (
        ii.sample_batch(jax.random.key(0), MIXTURE, 3, K, 1.0),
        ii.rotations(jax.random.key(0), D, 2),
    ),
}


@pytest.mark.parametrize(("x64", "names"), [(False, list(CALLS)), (True, ["component_posterior", "inference", "grad"])])
def test_the_second_eager_call_compiles_nothing(x64, names):
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    try:
        jax.jit(lambda x: x + 1)(1.0)
        assert compiled
        with jax.enable_x64(x64), jax.numpy_dtype_promotion("standard"):
            for name in names:
                jax.block_until_ready(CALLS[name]())
                compiled.clear()
                jax.block_until_ready(CALLS[name]())
                assert compiled == [], name
    finally:
        jax.monitoring.clear_event_listeners()


def test_a_hundred_eager_calls_keep_no_memory():
    def resident():
        gc.collect()
        with open("/proc/self/statm") as numbers:
            return int(numbers.read().split()[1]) * 4096 / 2**20

    calls = [CALLS[name] for name in ("component_posterior", "grad", "vmap")]
    for call in calls:
        jax.block_until_ready(call())
    before = resident()
    for call in calls:
        for _ in range(100):
            jax.block_until_ready(call())
    assert resident() - before < 20


def test_arguments_may_be_named():
    by_name = ii.posterior_predictive(tasks=MIXTURE, prompts=P, noise_std=1.0)
    np.testing.assert_array_equal(by_name.mean, ii.posterior_predictive(MIXTURE, P, 1.0).mean)
    assert ii.component_posterior(mixture=MIXTURE, prompts=P, noise_std=1.0).shape == (2, K, 2)


def test_thirty_digits_come_by_name_and_not_because_64_bits_are_on():
    far = ii.GaussianTasks(jnp.full(D, 1e3), 1e-3)
    with jax.enable_x64(True):
        tasks, many = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), (far, prompts(1, 40)))
        plain, named = (ii.posterior_predictive(tasks, many, 1e-3, digits=digits) for digits in (16, 30))
        with ii.thirty_digits():
            within = ii.posterior_predictive(tasks, many, 1e-3)
        np.testing.assert_array_equal(within.log_density, named.log_density)
        assert np.any(np.asarray(plain.log_density) != np.asarray(named.log_density))
        np.testing.assert_allclose(plain.log_density, named.log_density, rtol=1e-6)


@jax.numpy_dtype_promotion("standard")
def test_small_and_unsigned_integers_are_conjugated_like_numbers():
    for dtype in (jnp.uint8, jnp.int8, jnp.bool_):
        small = jax.tree.map(lambda x, dtype=dtype: jnp.abs(x).astype(dtype), INTEGERS)
        real = jax.tree.map(lambda x: x.astype(jnp.float32), small)
        shift = jnp.array([1, 2, 3], jnp.uint8)
        for move in (ii.ScaleLabels(-200), ii.ScaleInputs(-2), ii.ShiftLabels(shift), ii.ShiftLabels(shift).inverse()):
            for a, b in zip(jax.tree.leaves(move.apply(small)), jax.tree.leaves(move.apply(real)), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_bare_function_may_change_its_answer():
    state = [1.0]
    predictor = lambda prompts: state[0] * prompts.ys  # noqa: E731
    for factor in (1.0, 5.0):
        state[0] = factor
        np.testing.assert_allclose(ii.averaged(predictor, [ii.Identity()])(P), factor * P.ys, rtol=1e-6)
        answered = ii.continued(predictor, P, K - 1, jnp.zeros_like(P.ys)).ys
        np.testing.assert_allclose(answered[..., -1], factor * P.ys[..., -1], rtol=1e-6)
