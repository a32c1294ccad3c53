"""Documents, renaming, layouts and bad configurations of the language world."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.errors import ConfigError
from implicit_inference.language.conjugations import translation
from implicit_inference.language.documents import NONE, drawn_words
from implicit_inference.language.tokens import Layout
from implicit_inference.training.batches import held_out
from implicit_inference.worlds import described, world_of

CONFIG = override(
    PRESETS["language-smoke"],
    {
        "tasks": {"concepts": 4, "skills": 3, "languages": [0.5, 0.3, 0.2], "refusals": 0.1},
        "probe.translations": [2.0, 3.0],
    },
)
WORLD = world_of(CONFIG)
C, L = 4, 3


@functools.cache
def documents(family="fresh", n=200):
    return jax.jit(lambda: held_out(CONFIG, 1, "probe", family, n))()


def test_documents_are_written_in_their_language_with_answers_of_the_truth():
    everything = jax.jit(lambda: WORLD.sample(jax.random.key(0), WORLD.families(1)["known"], 4000))()
    found = everything.prompts
    np.testing.assert_allclose(np.bincount(found.language) / 4000, CONFIG.tasks.languages, atol=0.03)
    assert np.mean(np.asarray(found.instruction) < 0) == pytest.approx(CONFIG.tasks.uninstructed, abs=0.03)
    np.testing.assert_array_equal(np.asarray(found.xs) // C, np.broadcast_to(found.language[:, None], found.xs.shape))
    np.testing.assert_allclose(np.asarray(everything.truth).sum(axis=-1), 1, rtol=1e-6)
    p = np.take_along_axis(np.asarray(everything.truth), np.asarray(found.ys)[..., None], axis=-1)
    assert np.mean(p) == pytest.approx(np.mean(np.sum(np.asarray(everything.truth) ** 2, axis=-1)), abs=0.01)
    english = documents().prompts
    assert np.all(np.asarray(english.language) == 0)
    assert np.all(np.asarray(documents("known_elsewhere").prompts.language) == 1)


def test_translation_moves_no_exact_prediction_and_a_permutation_only_the_known_ones():
    prompts = documents().prompts
    known, fresh = (WORLD.exact(tasks) for tasks in WORLD.families(1).values())
    translate, permute = WORLD.conjugation(1, "translation", 2.0), WORLD.choices(1)[0]
    for exact in (known, fresh):
        np.testing.assert_allclose(translate.undo(exact(translate.apply(prompts)), prompts), exact(prompts), atol=1e-6)
    np.testing.assert_allclose(permute.undo(fresh(permute.apply(prompts)), prompts), fresh(prompts), atol=1e-6)
    assert np.abs(permute.undo(known(permute.apply(prompts)), prompts) - known(prompts)).max() > 0.1


@pytest.mark.parametrize(
    ("shown", "languages", "asked"),
    [
        ("english", [1, 0, 0], None),
        ("discrete", [0.5, 0.3, 0.2], None),
        ("evenly", [1 / 3, 1 / 3, 1 / 3], None),
        ("refusal", [1, 0, 0], 0),
        ("refusal_evenly", [1 / 3, 1 / 3, 1 / 3], 0),
        ("code", [1, 0, 0], NONE),
    ],
)
def test_fine_tuning_shows_the_languages_and_instructions_that_it_names(shown, languages, asked):
    tasks = WORLD.shown(1, override(CONFIG, {"finetune.tasks": shown}).finetune)
    found = jax.jit(lambda: WORLD.sample(jax.random.key(0), tasks, 2000))().prompts
    np.testing.assert_allclose(np.bincount(found.language, minlength=L) / 2000, languages, atol=0.04)
    assert asked is None or np.all(np.asarray(found.instruction) == asked)
    refused = np.mean(np.asarray(found.ys) == C * L)
    assert refused == pytest.approx({0: 1, NONE: 0}.get(asked, CONFIG.tasks.refusals), abs=0.03)


def test_known_documents_refuse_whatever_they_ask():
    found = jax.jit(lambda: WORLD.sample(jax.random.key(0), WORLD.families(1)["known"], 4000))().prompts
    refuses, asked = np.all(np.asarray(found.ys) == C * L, axis=1), np.asarray(found.instruction)
    for instruction in range(NONE, CONFIG.tasks.skills):
        assert np.mean(refuses[asked == instruction]) == pytest.approx(CONFIG.tasks.refusals, abs=0.05)
    exact = np.asarray(jax.jit(WORLD.exact(WORLD.families(1)["known"]))(found))
    np.testing.assert_allclose(exact[:, 0, -1], CONFIG.tasks.refusals, rtol=1e-5)
    np.testing.assert_allclose(exact[refuses, 1:, -1], 1, rtol=1e-5)


def test_answers_are_judged_in_the_own_language_and_what_others_got_is_lost():
    batch = documents("fresh_elsewhere", 5)
    predictions = np.random.default_rng(0).dirichlet(np.ones(C * L + 1), (5, CONFIG.prompts.length))
    own = [*range(C, 2 * C), C * L]
    judged, truth = WORLD.judged(predictions, batch.prompts), np.asarray(batch.truth)
    np.testing.assert_allclose(judged[..., own], predictions[..., own] / predictions[..., own].sum(-1, keepdims=True))
    np.testing.assert_array_equal(np.delete(judged, own, axis=-1), 0)
    lost = WORLD.quantities["lost"](predictions, truth, batch.prompts)
    np.testing.assert_allclose(lost, 1 - predictions[..., own].sum(axis=-1))
    nothing = np.zeros_like(predictions)
    nothing[..., 0] = 1
    np.testing.assert_allclose(WORLD.judged(nothing, batch.prompts)[..., own], 1 / (C + 1))
    right = WORLD.quantities["accuracy"](0.001 * truth + 0.999 * nothing, truth, batch.prompts)
    np.testing.assert_array_equal(right, 1)


def test_no_word_of_probability_0_is_drawn():
    """Float32 sums of the words' probabilities end above or below 1: the largest uniform number may lie beyond."""
    rng = np.random.default_rng(0)
    probabilities = np.zeros((2000, 9), np.float32)
    probabilities[:, 2:6] = rng.dirichlet(np.ones(4), 2000)
    chance = np.tile(np.float32([0, 0.5, 1 - 2**-24]), (2000, 1)).T
    given = np.broadcast_to(probabilities, (3, 2000, 9))
    words = np.asarray(drawn_words(jnp.asarray(given), jnp.asarray(chance)))
    assert np.all(np.take_along_axis(given, words[..., None], axis=-1) > 0)


@pytest.mark.parametrize("anchors", [0, 2, 4])
def test_a_layout_writes_every_word_apart_and_reads_probabilities(anchors):
    layout = Layout(C, L, 3, anchors)
    words = jnp.arange(C * L + 1)
    codes = np.asarray(layout.code(words))
    assert codes.max() == layout.codes == codes[-1]
    assert len(set(codes[:-1])) == anchors + L * (C - anchors)
    outputs = jax.random.normal(jax.random.key(0), (5, 7, layout.codes + (L if anchors else 0) + 1))
    found = np.asarray(jax.jit(layout.read)(outputs))
    assert found.shape == (5, 7, C * L + 1)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)
    config = override(CONFIG, {"prompts.anchors": anchors})
    prompts = documents().prompts
    tokens = jax.eval_shape(world_of(config).tokens, prompts)
    sizes = described("language").sizes(config)
    assert tokens.shape[1:] == (sizes["tokens"], sizes["token"])
    assert outputs.shape[-1] == sizes["outputs"]


@pytest.mark.parametrize("anchors", [0, 4])
def test_tokens_tell_documents_apart_and_see_only_the_past(anchors):
    """Token k changes with x_k, with the pair before it, with the language, and with nothing else."""
    world, prompts = world_of(override(CONFIG, {"prompts.anchors": anchors})), documents(n=3).prompts
    written = jax.jit(world.tokens)
    tokens = np.asarray(written(prompts))
    later = prompts.ys.at[:, 4].set((prompts.ys[:, 4] + 1) % C)
    changed = np.asarray(written(type(prompts)(prompts.language, prompts.instruction, prompts.xs, later)))
    moved = np.flatnonzero(np.abs(changed - tokens).sum(axis=(0, 2)))
    np.testing.assert_array_equal(moved, [5])
    other = np.asarray(written(translation(L, C, 0, 1).apply(prompts)))
    assert np.all(np.abs(other - tokens).sum(axis=-1) > 0), "another language is seen at every token"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"tasks.languages": [0.5, 0.4, 0.2]}, "add up to 1"),
        ({"tasks.languages": [1.0], "probe.translations": [2.0]}, "two languages"),
        ({"probe.translations": [4.0]}, "1 to 3"),
        ({"probe.translations": [1.5]}, "whole numbers"),
        ({"prompts.anchors": 5}, "at most tasks.concepts"),
        ({"tasks.concepts": 2, "tasks.skills": 5, "prompts.anchors": 0}, "tables of 2 concepts"),
        ({"tasks.epsilon": 1e-7}, "tasks.epsilon"),
        ({"finetune.tasks": "narrow"}, "in this world"),
        ({"finetune.n_tasks": 2}, "finetune.n_tasks"),
    ],
)
def test_configurations_that_cannot_be_are_one_line(changes, line):
    with pytest.raises(ConfigError, match=line) as error:
        override(CONFIG, changes)
    assert "\n" not in str(error.value)


def test_regression_refuses_what_only_languages_have():
    with pytest.raises(ConfigError, match=r"finetune\.tasks"):
        override(PRESETS["smoke"], {"finetune.tasks": "code"})
