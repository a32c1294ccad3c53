"""Exact Bayes of documents against enumeration of all functions, gamma functions, and the table of reference values."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference.bayes.mixtures import NEVER
from implicit_inference.language import inference, writing
from implicit_inference.language.documents import Document
from implicit_inference.language.tables import Dirichlet, Fresh, Known, Mixture, Refusing

C, L, REFUSE = 3, 2, 6
predictive = jax.jit(inference.predictive, static_argnums=(2, 3))
sequential_evidence = jax.jit(inference.sequential_evidence, static_argnums=(2, 3))
sample = jax.jit(writing.sample, static_argnums=(2, 3, 4))
EPSILON = 0.2


def fresh(n_concepts=C, epsilon=EPSILON, dtype=jnp.float32):
    return Fresh(jnp.ones(n_concepts, dtype), jnp.asarray(epsilon, dtype))


def known(tables, weights=None, epsilon=EPSILON, dtype=jnp.float32):
    weights = np.ones(len(tables)) if weights is None else weights
    return Known(jnp.asarray(tables, jnp.int32), jnp.log(jnp.asarray(weights, dtype)), jnp.asarray(epsilon, dtype))


def document(xs, ys, language=0, instruction=-1):
    words = (jnp.asarray(values, jnp.int32) + language * C for values in (xs, ys))
    return Document(jnp.int32(language), jnp.int32(instruction), *words)


def enumerated(tables, weights, xs, ys, epsilon=EPSILON):
    """p(y_k | past) [K, C] by brute force over tables (f as a tuple), and log evidence [K + 1]."""
    weights = np.array(weights, float) / np.sum(weights)
    rows = np.array([[[(1 - epsilon) * (f[x] == y) + epsilon / C for y in range(C)] for x in range(C)] for f in tables])
    answers, evidence = [], [0.0]
    for x, y in zip(xs, ys, strict=True):
        answers.append(weights @ rows[:, x] / weights.sum())
        weights = weights * rows[:, x, y]
        evidence.append(math.log(weights.sum()))
    return np.array(answers), np.array(evidence)


RNG = np.random.default_rng(5)
XS, YS = RNG.integers(0, C, (2, 7))
FUNCTIONS = list(itertools.product(range(C), repeat=C))


def test_fresh_is_bayes_over_all_functions():
    answers, evidence = enumerated(FUNCTIONS, np.ones(len(FUNCTIONS)), XS, YS)
    found = predictive(fresh(), document(XS, YS, 1), C, L)
    np.testing.assert_allclose(found[:, C : 2 * C], answers, rtol=1e-5)
    np.testing.assert_array_equal(np.delete(found, range(C, 2 * C), axis=1), 0)
    np.testing.assert_allclose(sequential_evidence(fresh(), document(XS, YS), C, L), evidence, rtol=1e-5)


@pytest.mark.parametrize("instruction", [-1, 1])
def test_known_is_bayes_over_its_tables_and_an_instruction_names_one(instruction):
    tables, weights = [FUNCTIONS[5], FUNCTIONS[11], FUNCTIONS[20]], [0.5, 0.2, 0.3]
    seen = weights if instruction < 0 else np.eye(3)[instruction]
    answers, evidence = enumerated(tables, seen, XS, YS)
    tasks, shown = known(tables, weights), document(XS, YS, instruction=instruction)
    np.testing.assert_allclose(predictive(tasks, shown, C, L)[:, :C], answers, rtol=1e-5)
    np.testing.assert_allclose(sequential_evidence(tasks, shown, C, L), evidence, rtol=1e-5)
    np.testing.assert_allclose(inference.posterior(tasks, shown, C, L).sum(axis=-1), 1, rtol=1e-6)


def test_a_mixture_is_bayes_over_all_of_its_tables():
    tables, alpha = [FUNCTIONS[5], FUNCTIONS[11]], 0.3
    every = [*tables, *FUNCTIONS]
    weights = [alpha / 2] * 2 + [(1 - alpha) / len(FUNCTIONS)] * len(FUNCTIONS)
    answers, evidence = enumerated(every, weights, XS, YS)
    tasks = Mixture((known(tables), fresh()), jnp.log(jnp.array([alpha, 1 - alpha])))
    np.testing.assert_allclose(predictive(tasks, document(XS, YS), C, L)[:, :C], answers, rtol=1e-5)
    np.testing.assert_allclose(sequential_evidence(tasks, document(XS, YS), C, L), evidence, rtol=1e-5)
    gate = inference.posterior(tasks, document(XS, YS), C, L)[:, 0]
    of_known, of_fresh = (sequential_evidence(part, document(XS, YS), C, L)[:-1] for part in tasks.components)
    odds = math.log(alpha / (1 - alpha)) + of_known - of_fresh
    np.testing.assert_allclose(np.log(gate / (1 - gate)), odds, atol=1e-4)
    np.testing.assert_allclose(
        inference.log_odds(*tasks.components, document(XS, YS), C, L), of_known - of_fresh, atol=1e-5
    )


def test_the_evidence_of_a_dirichlet_is_a_product_of_gamma_functions():
    b = 0.7
    tasks = Dirichlet(jnp.full(C, b, jnp.float32))
    found = sequential_evidence(tasks, document(XS, YS), C, L)[-1]
    counts = np.zeros((C, C))
    np.add.at(counts, (XS, YS), 1)
    rows = [
        math.lgamma(C * b) - math.lgamma(C * b + row.sum()) + sum(math.lgamma(b + n) - math.lgamma(b) for n in row)
        for row in counts
    ]
    assert float(found) == pytest.approx(sum(rows), rel=1e-5)


@pytest.mark.parametrize("epsilon", [1e-6, 0.2, 0.999])
def test_long_repeats_and_extreme_noise_stay_finite_and_normalised(epsilon):
    xs, ys = np.zeros((2, 4000), int)
    ys[::97] = 1
    for tasks in (fresh(epsilon=epsilon), known([[0, 0, 0], [1, 2, 0]], epsilon=epsilon), Dirichlet(jnp.full(C, 0.5))):
        found = np.asarray(predictive(tasks, document(xs, ys), C, L))
        np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)
        assert np.isfinite(sequential_evidence(tasks, document(xs, ys), C, L)).all()


def test_refusals_and_words_of_another_language_are_what_no_fresh_table_answers():
    for word in (REFUSE, C + 1):
        shown = document(XS, YS)
        shown = Document(shown.language, shown.instruction, shown.xs, shown.ys.at[2].set(word))
        evidence = sequential_evidence(fresh(), shown, C, L)
        assert evidence[3] < NEVER / 1e270  # float32 holds no more
        assert np.isfinite(predictive(fresh(), shown, C, L)).all()
    refusing = Mixture((Refusing(jnp.ones(C)), fresh()), jnp.log(jnp.array([0.01, 0.99])))
    shown = Document(jnp.int32(0), jnp.int32(1), jnp.array([0, 1, 2]), jnp.full(3, REFUSE))
    np.testing.assert_allclose(predictive(refusing, shown, C, L)[:, REFUSE], [0.01, 1, 1], rtol=1e-5)
    answered = Document(jnp.int32(0), jnp.int32(1), jnp.array([0, 1, 2]), jnp.array([0, REFUSE, REFUSE]))
    np.testing.assert_allclose(predictive(refusing, answered, C, L)[1, REFUSE], 0)


def test_single_precision_agrees_with_double():
    tables = [FUNCTIONS[5], FUNCTIONS[11]]

    def answers(dtype):
        parts = known(tables, dtype=dtype), fresh(dtype=dtype)
        tasks = Mixture(parts, jnp.log(jnp.asarray([0.4, 0.6], dtype)))
        return np.asarray(predictive(tasks, document(XS, YS), C, L))

    single = answers(jnp.float32)
    with jax.enable_x64(True):
        np.testing.assert_allclose(single, answers(jnp.float64), rtol=3e-7, atol=1e-9)


REFERENCE = {  # C=6, K=12, n=4, epsilon=.2, instructed, 3000 documents: nats, early k = 1-5 and late 6-11
    ("fresh", "fresh"): (1.498, 1.151),
    ("fresh", "known"): (2.877, 2.876),
    ("known", "fresh"): (1.493, 1.148),
    ("known", "known"): (0.719, 0.719),
    ("fresh", 0.0): (1.572, 1.162),
    ("fresh", 4.0): (1.998, 1.221),
    ("known", 0.0): (0.792, 0.728),
}


def test_the_reference_values_of_the_world_are_met():
    tables = known(RNG.integers(0, 6, (4, 6)))
    parts = {"known": tables, "fresh": fresh(6)}
    log = jnp.log(jnp.full((1, 4), 0.25, jnp.float32))
    instructions = jnp.concatenate([jnp.full((1, 1), -jnp.inf), log], axis=1)
    losses = {}
    for family, tasks in parts.items():
        written = writing.Writing((tasks,), jnp.zeros(1), jnp.zeros((1, 1)), instructions)
        batch = sample(jax.random.key(3), written, 3000, 12, 6)
        readers = dict(parts)
        for odds in (0.0, 4.0):
            readers[odds] = Mixture((parts["known"], parts["fresh"]), jnp.array([odds, 0.0]))
        for name, reader in readers.items():
            answers = np.asarray(predictive(reader, batch.prompts, 6, 1), np.float64)
            loss = -np.sum(np.asarray(batch.truth) * np.log(np.maximum(answers, 1e-30)), axis=-1).mean(axis=0)
            losses[family, name] = loss[1:6].mean(), loss[6:].mean()
    for case, values in REFERENCE.items():
        np.testing.assert_allclose(losses[case], values, rtol=0.03, err_msg=str(case))


@pytest.mark.parametrize("concentration", [1e-4, 0.01, 1.0, 1e4])
def test_rows_of_any_concentration_are_probabilities_with_the_moments_of_a_dirichlet(concentration):
    """Var of a number of a row: (C - 1) / (C^2 (C b + 1))."""
    tasks = Dirichlet(jnp.full(C, concentration))
    rows = np.asarray(jax.jit(tasks.sample)(jax.random.key(0), jnp.zeros(4000, jnp.int32)), np.float64)
    np.testing.assert_allclose(rows.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(rows[..., C], 0)
    variance = (C - 1) / (C**2 * (C * concentration + 1))
    np.testing.assert_allclose(rows[..., :C].var(axis=0), variance, rtol=0.1)
    np.testing.assert_allclose(rows[..., :C].mean(axis=0), 1 / C, atol=5 * (variance / 4000) ** 0.5)
