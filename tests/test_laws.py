"""One file of laws for all worlds: exact Bayes, conjugations, truth, tokens; each world says how tasks are pushed."""

import functools
import itertools

import chex
import coin.world
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference import worlds
from implicit_inference.config.changes import base, override
from implicit_inference.config.fields import AdaptConfig
from implicit_inference.language import inference as documents
from implicit_inference.language.conjugations import Rename
from implicit_inference.network import adapt, decoder
from implicit_inference.network.predictions import initial_params, predict
from implicit_inference.regression.inference import sequential_evidence
from implicit_inference.regression.predictive import bayes_predictor
from implicit_inference.training.batches import held_out, log_weights, prior, stage_tasks

SEED, N, ALPHA = 3, 24, 0.3
CHANGES = {
    "regression": {"tasks": {"dim": 3, "n_discrete": 4}, "prompts.length": 6, "probe.label_scales": [-1.0, 2.0]},
    "language": {
        "tasks": {"concepts": 4, "skills": 2, "languages": [0.5, 0.3, 0.2], "refusals": 0.1},
        "prompts": {"length": 7, "anchors": 2},
        "probe.translations": [2.0, 3.0],
    },
    "coin": {},
}


def pushed_regression(world, conjugation, tasks):
    """(the exact predictor of pushed tasks, their evidence)"""
    moved, noise_std = conjugation.push(tasks, world.noise_std)
    return bayes_predictor(moved, noise_std), lambda prompts: sequential_evidence(moved, prompts, noise_std)


def pushed_language(world, conjugation, tasks):
    moved, size = conjugation.push(tasks.tables, None)[0], (world.tasks.concepts, len(world.tasks.languages))
    return (lambda prompts: documents.predictive(moved, prompts, *size)), (
        lambda prompts: documents.sequential_evidence(moved, prompts, *size)
    )


def pushed_coin(world, conjugation, tasks):
    def turned(tasks):
        if isinstance(tasks, coin.world.Mixed):
            return coin.world.Mixed(tuple(map(turned, tasks.parts)), tasks.log_weights)
        is_known = isinstance(tasks, coin.world.Known)
        return coin.world.Known(jnp.roll(tasks.coins, conjugation.by, axis=-1)) if is_known else tasks

    moved = turned(tasks)
    return world.exact(moved), lambda prompts: world.evidence(moved, prompts)


PUSHED = {"regression": pushed_regression, "language": pushed_language, "coin": pushed_coin}


@pytest.fixture(autouse=True)
def three_worlds(monkeypatch):
    monkeypatch.setitem(worlds.WORLDS, "coin", "coin")


@functools.cache
def config_of(name):
    return override(base(name), CHANGES[name])


@functools.cache
def tasks_of(name):
    """The preferred family, the forgotten one, and their mixture."""
    config = config_of(name)
    return {**worlds.world_of(config).families(SEED), "mixture": prior(config, SEED, log_weights(ALPHA))}


@functools.cache
def batch_of(name, kind=0):
    """Held-out prompts of the preferred family (0) or of the forgotten one (1)."""
    config, family = config_of(name), worlds.described(name).families[kind]
    return jax.jit(lambda: held_out(config, SEED, "probe", family, N))()


def conjugations_of(name):
    """Every kind of conjugation of a world's probe at each strength, and its choices; languages and concepts turned."""
    config, world = config_of(name), worlds.world_of(config_of(name))
    for move, shown in worlds.described(name).moves.items():
        for strength in getattr(config.probe, shown.field) if shown.field else (None,):
            yield f"{move} {strength}", lambda move=move, strength=strength: world.conjugation(SEED, move, strength)
    for i in range(min(2, len(world.choices(SEED)))):
        yield f"choice {i}", lambda i=i: world.choices(SEED)[i]
    if name == "language":
        yield "renaming", lambda: Rename(jnp.array([2, 0, 1]), jnp.array([1, 3, 0, 2]))


def close(found, expected, tolerance=2e-5):
    """Trees of one structure whose leaves are equal, relative to their largest entry."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for new, old in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(new, old, rtol=0, atol=tolerance * max(1.0, float(np.max(np.abs(old)))))


each_world = pytest.mark.parametrize("name", CHANGES)


@each_world
def test_a_description_names_what_the_world_has(name):
    world, described = worlds.world_of(config_of(name)), worlds.described(name)
    assert tuple(world.families(SEED)) == described.families == tuple(described.exact)
    assert set(described.elsewhere.values()) <= set(described.families)
    assert set(config_of(name).families) == {*described.families, *described.elsewhere}
    assert described.dial in described.moves


@each_world
def test_tokens_and_outputs_have_the_sizes_that_are_said_and_truth_and_labels_one_shape(name):
    world, batch = worlds.world_of(config_of(name)), batch_of(name)
    sizes = worlds.described(name).sizes(config_of(name))
    tokens = world.tokens(batch.prompts)
    assert tokens.shape == (N, sizes["tokens"], sizes["token"])
    answers = world.read(jnp.zeros((N, sizes["tokens"], sizes["outputs"])))
    assert answers.shape == world.truth(batch).shape == world.labels(batch.prompts).shape
    assert answers.shape == world.exact(tasks_of(name)["mixture"])(batch.prompts).shape
    assert answers.shape[1] == config_of(name).prompts.length


@each_world
def test_pretraining_is_drawn_from_both_whole_families(name):
    config, world = config_of(name), worlds.world_of(config_of(name))
    weights = log_weights(config.pretrain.discrete_prob)
    drawn = [
        jax.jit(lambda tasks=tasks: world.sample(jax.random.key(2), tasks, N))()
        for tasks in (stage_tasks(config, config.pretrain, SEED, weights), prior(config, SEED, weights))
    ]
    close(*drawn, tolerance=0)


@each_world
def test_seeds_of_one_world_have_its_tasks_and_prompts_of_their_own(name):
    config = override(base(name), CHANGES[name] | {"worlds": 2})
    world, alone = worlds.world_of(config), worlds.world_of(override(config, {"worlds": 0}))

    def tasks_of(world, seed):
        return jax.tree.leaves((world.families(seed), world.shown(seed, config.finetune)))

    for seed in (2, 3):
        home = tasks_of(alone, seed % 2)
        chex.assert_trees_all_equal(tasks_of(world, seed), home)
        compiled = jax.jit(lambda seed: tasks_of(world, seed))(jnp.uint32(seed))
        chex.assert_trees_all_close(compiled, home, rtol=1e-6)
        assert any((a != b).any() for a, b in zip(tasks_of(alone, seed), home, strict=True))
    first, second = (held_out(config, seed, "probe report", "finetuning", 4).prompts for seed in (0, 2))
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (first, second)), strict=True))


@each_world
def test_labels_scatter_around_the_truth_and_exact_predictions_around_the_labels(name):
    config, world = config_of(name), worlds.world_of(config_of(name))
    tasks = tasks_of(name)["mixture"]
    batch = jax.jit(lambda: world.sample(jax.random.key(1), tasks, 3000))()
    labels = np.asarray(world.labels(batch.prompts), np.float64)
    for mean in (world.truth(batch), jax.jit(world.exact(tasks))(batch.prompts)):
        rest = labels - np.asarray(mean, np.float64)
        error = rest.std(axis=0) / 3000**0.5
        assert np.all(np.abs(rest.mean(axis=0)) < 5 * error + 1e-6)
    assert labels.shape[1] == config.prompts.length


@functools.cache
def inferred(name, kind):
    """Infers from held-out prompts: exact predictions and evidence by tasks, log odds, and those of the reverse."""
    world, tasks, prompts = worlds.world_of(config_of(name)), tasks_of(name), batch_of(name, kind).prompts
    preferred, forgotten, _ = tasks.values()

    def infer():
        exact, evidence = (
            {of: f(t) for of, t in tasks.items()}
            for f in (lambda t: world.exact(t)(prompts), lambda t: world.evidence(t, prompts))
        )
        return (
            exact,
            evidence,
            world.log_odds(preferred, forgotten, prompts),
            world.log_odds(forgotten, preferred, prompts),
        )

    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), jax.jit(infer)())


@each_world
@pytest.mark.parametrize("kind", [0, 1])
def test_odds_are_antisymmetric_and_the_difference_of_evidences(name, kind):
    _, evidence, odds, back = inferred(name, kind)
    preferred, forgotten = (evidence[family][:, :-1] for family in worlds.described(name).families)
    close(back, -odds)
    assert np.all(odds[:, 0] == 0)
    possible = np.minimum(preferred, forgotten) > -1e30
    np.testing.assert_allclose(odds[possible], (preferred - forgotten)[possible], rtol=1e-4, atol=1e-3)


@each_world
@pytest.mark.parametrize("kind", [0, 1])
def test_a_mixture_weighs_its_parts_by_their_posterior_which_normalises(name, kind):
    exact, evidence, odds, _ = inferred(name, kind)
    preferred, forgotten = worlds.described(name).families
    gate = np.exp(-np.logaddexp(0, -odds - np.log(ALPHA / (1 - ALPHA))))
    first, second, found = exact[preferred], exact[forgotten], exact["mixture"]
    gate = np.expand_dims(gate, tuple(range(gate.ndim, first.ndim)))
    close(found, gate * first + (1 - gate) * second)
    assert np.all((np.minimum(first, second) - 1e-4 <= found) & (found <= np.maximum(first, second) + 1e-4))
    joint = np.logaddexp(np.log(ALPHA) + evidence[preferred], np.log(1 - ALPHA) + evidence[forgotten])
    np.testing.assert_allclose(evidence["mixture"], joint, rtol=1e-4, atol=1e-4)


@each_world
def test_a_mixture_of_one_part_alone_is_that_part(name):
    world, config, prompts = worlds.world_of(config_of(name)), config_of(name), batch_of(name).prompts
    for alpha, family in zip((1.0, 0.0), worlds.described(name).families, strict=True):
        alone = jax.jit(world.exact(prior(config, SEED, log_weights(alpha))))(prompts)
        close(np.asarray(alone, np.float64), inferred(name, 0)[0][family])


@each_world
def test_the_score_is_proper_and_its_divergence_the_excess(name):
    score, exact = worlds.world_of(config_of(name)).score, inferred(name, 0)[0]
    mean, answer = exact["mixture"], exact[worlds.described(name).forgotten]
    excess = score.loss(answer, mean) - score.loss(mean, mean)
    np.testing.assert_allclose(excess, score.divergence(mean, answer), atol=1e-6)
    assert np.all(excess > -1e-6)
    assert np.any(excess > 1e-2)
    np.testing.assert_allclose(score.divergence(mean, mean), 0, atol=1e-12)
    close(score.mean(mean), mean)


@each_world
def test_a_continuation_leaves_what_stands_before_it(name):
    world, batch = worlds.world_of(config_of(name)), batch_of(name, 1)
    length, exact = config_of(name).prompts.length, world.exact(tasks_of(name)["mixture"])
    for start in (0, length // 2, length):
        found = jax.jit(lambda start=start: world.continued(exact, batch, start))()
        labels, drawn = (np.asarray(world.labels(prompts)) for prompts in (found, batch.prompts))
        np.testing.assert_array_equal(labels[:, :start], drawn[:, :start])
        assert start == length or np.any(labels[:, start] != drawn[:, start])


def rounded(jaxpr):
    """The products of float32 matrices in a program that JAX's default would compute with fewer digits on a GPU."""
    for equation in jaxpr.eqns:
        product = equation.primitive.name == "dot_general" and "float32" in {str(v.aval.dtype) for v in equation.invars}
        if product and equation.params["precision"] != (jax.lax.Precision.HIGHEST,) * 2:
            yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "jaxpr")):
            if hasattr(inner := getattr(inner, "jaxpr", inner), "eqns"):
                yield from rounded(inner)


@each_world
def test_float32_products_keep_all_their_digits(name):
    """The CPU has no others, so that programs are read."""
    config, world, prompts = config_of(name), worlds.world_of(config_of(name)), batch_of(name).prompts
    params = jax.jit(lambda: initial_params(config, SEED))()

    def adapted():
        patch = adapt.METHODS["lora"](AdaptConfig(method="lora"), params, jax.random.key(0))
        return adapt.merge(patch, params)

    def sampled(prior):
        changed = override(config, {"tasks.prior": prior})
        return worlds.world_of(changed).sample(
            jax.random.key(0), stage_tasks(changed, config.pretrain, SEED, log_weights(0.0)), N
        )

    priors = ("correlated", "polynomial", "fourier") if name == "regression" else ()
    programs = {
        "product": lambda: jnp.ones((2, 2)) @ jnp.ones((2, 2)),
        "low rank": adapted,
        "streams": lambda: decoder.streams(config.model, params, world.tokens(prompts)),
        "gradient": lambda: jax.grad(lambda params: jnp.sum(predict(config, params, prompts)))(params),
        **{prior: lambda prior=prior: sampled(prior).prompts for prior in priors},
        "sample": lambda: [world.sample(jax.random.key(0), tasks, N).prompts for tasks in tasks_of(name).values()],
        "network": lambda: predict(config, params, prompts),
        "exact": lambda: world.exact(tasks_of(name)["mixture"])(prompts),
        **{case: lambda case=case: under(world.labels, made(name, case))(prompts) for n, case in CASES if n == name},
    }
    found = {program: len([*rounded(jax.make_jaxpr(run)().jaxpr)]) for program, run in programs.items()}
    assert found == dict.fromkeys(programs, 0) | {"product": 1}


CASES = [(name, case) for name in ("regression", "language") for case, _ in conjugations_of(name)]
CASES += [("coin", f"turn {strength}") for strength in (2.0, 3.0)]
each_conjugation = pytest.mark.parametrize(("name", "case"), CASES, ids=map(" ".join, CASES))


@each_conjugation
def test_the_inverse_undoes(name, case):
    world, conjugation, prompts = worlds.world_of(config_of(name)), made(name, case), batch_of(name).prompts
    close(conjugation.inverse().apply(conjugation.apply(prompts)), prompts)
    exact = world.exact(tasks_of(name)["mixture"])
    there_and_back = under(under(exact, conjugation.inverse()), conjugation)
    close(there_and_back(prompts), exact(prompts))


@each_conjugation
def test_it_leaves_the_meaning_of_labels(name, case):
    world, conjugation, prompts = worlds.world_of(config_of(name)), made(name, case), batch_of(name).prompts
    close(conjugation.undo(world.labels(conjugation.apply(prompts)), prompts), world.labels(prompts))


@each_conjugation
def test_bayes_of_the_pushed_tasks_on_moved_prompts_is_bayes(name, case):
    """The evidence differs by the log-Jacobian of labels: one number a position, whatever the prompt."""
    conjugation = made(name, case)
    for (of, tasks), kind in itertools.product(tasks_of(name).items(), (0, 1)):
        prompts, (exact, evidence, *_) = batch_of(name, kind).prompts, inferred(name, kind)
        found, there = (np.asarray(part, np.float64) for part in moved(name, conjugation, tasks, prompts))
        close(found, exact[of])
        possible = evidence[of][:, -1] > -1e30
        difference = (evidence[of] - there)[possible]
        tolerance = 1e-4 * max(1.0, np.abs(evidence[of][possible]).max())
        np.testing.assert_allclose(difference - difference[:1], 0, atol=tolerance)
        assert possible.any()


@functools.partial(jax.jit, static_argnums=0)
def moved(name, conjugation, tasks, prompts):
    """Exact predictions under the pushed tasks, undone, and the evidence of the moved prompts."""
    exact, evidence = PUSHED[name](worlds.world_of(config_of(name)), conjugation, tasks)
    shown = conjugation.apply(prompts)
    return conjugation.undo(exact(shown), prompts), evidence(shown)


def under(predictor, conjugation):
    """The conjugated predictor."""
    return lambda prompts: conjugation.undo(predictor(conjugation.apply(prompts)), prompts)


def made(name, case):
    """The conjugation of this name."""
    return dict(conjugations_of(name))[case]()
