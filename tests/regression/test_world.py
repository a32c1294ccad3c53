"""The fine-tuning distributions: what they hold, and how much of what."""

from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference import FeatureTasks, GaussianTasks, posterior_predictive, sample_batch
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.errors import ConfigError
from implicit_inference.config.identity import run_id
from implicit_inference.regression.settings import TasksConfig
from implicit_inference.training.batches import family, held_out, log_weights, stage_tasks
from implicit_inference.worlds import world_of

BASE = override(PRESETS["smoke"], {"tasks.n_discrete": 5})


def finetuned_on(**changes):
    return override(BASE, {"finetune": changes})


def test_a_subset_is_the_first_tasks_of_the_set_and_another_set_shares_none():
    whole = np.asarray(world_of(BASE).families(3)["discrete"].ws)
    subset, other = finetuned_on(n_tasks=2), finetuned_on(tasks="other")
    np.testing.assert_array_equal(world_of(subset).shown(3, subset.finetune).ws, whole[:2])
    redrawn = np.asarray(world_of(other).shown(3, other.finetune).ws)
    assert redrawn.shape == whole.shape
    assert np.all(np.abs(redrawn[:, None] - whole[None]).max(axis=-1) > 1e-3)
    np.testing.assert_array_equal(redrawn, family(other, 3, "finetuning").ws)
    two_others = finetuned_on(tasks="other", n_tasks=2)
    np.testing.assert_array_equal(world_of(two_others).shown(3, two_others.finetune).ws, redrawn[:2])


def test_prompts_of_the_finetuning_family_have_its_tasks():
    batch = held_out(finetuned_on(n_tasks=2), 0, "probe report", "finetuning", 200)
    whole = np.asarray(world_of(BASE).families(0)["discrete"].ws)
    assert {tuple(w) for w in np.asarray(batch.ws)} == {tuple(w) for w in whole[:2]}


def test_a_narrow_gaussian_has_its_standard_deviation():
    narrow = finetuned_on(tasks="narrow", narrow_std=0.25)
    ws = np.asarray(world_of(narrow).shown(0, narrow.finetune).sample(jax.random.key(0), 20_000))
    assert ws.std() == pytest.approx(0.25, rel=4 / np.sqrt(2 * ws.size))
    assert abs(ws.mean()) < 4 * 0.25 / np.sqrt(ws.size)


@pytest.mark.parametrize("replay", [0.0, 0.1, 0.5, 1.0])
def test_the_replayed_fraction_comes_from_the_pretraining_mixture(replay):
    """With another set in fine-tuning, a task of the discrete set or off both sets can only have been replayed."""
    config = override(finetuned_on(tasks="other", replay=replay), {"pretrain.discrete_prob": 0.3})
    n = 4000
    ws = np.asarray(stage_tasks(config, config.finetune, 1, log_weights(1.0)).sample(jax.random.key(1), n))

    def drawn_from(tasks):
        return np.any(np.all(np.isclose(ws[:, None], np.asarray(tasks.ws)[None], atol=1e-6), axis=-1), axis=1)

    old, new = (
        drawn_from(world_of(config).families(1)["discrete"]),
        drawn_from(world_of(config).shown(1, config.finetune)),
    )
    for found, expected in ((~new, replay), (old, 0.3 * replay)):
        assert abs(found.mean() - expected) <= 4 * np.sqrt(expected * (1 - expected) / n)


def test_replay_is_part_of_the_exact_predictor():
    """With the discrete set itself, replaying a fraction r of D_mix is a mixture with 1 - r (1 - alpha) of the set."""
    config = finetuned_on(replay=0.4)
    batch = held_out(config, 0, "probe report", "gaussian", 64)
    replayed = stage_tasks(config, config.finetune, 0, log_weights(1.0))
    plain = stage_tasks(BASE, BASE.finetune, 0, log_weights(1 - 0.4 * 0.5))
    exact = [np.asarray(posterior_predictive(tasks, batch.prompts, 1.0).mean) for tasks in (replayed, plain)]
    np.testing.assert_allclose(exact[0], exact[1], rtol=1e-4, atol=1e-5)


def test_tasks_on_features_keep_the_variance_of_labels_and_their_exact_predictor():
    config = override(BASE, {"tasks": {"dim": 4, "relu_features": 64, "n_discrete": 3}})
    tasks = world_of(config).families(0)
    assert all(isinstance(t, FeatureTasks) for t in tasks.values())
    assert tasks["discrete"].tasks.ws.shape == (3, 64)
    batch = sample_batch(jax.random.key(0), tasks["gaussian"], 4000, 4, 1.0)
    assert np.asarray(batch.clean_labels).var() == pytest.approx(config.tasks.dim, rel=0.15)
    inside = posterior_predictive(
        GaussianTasks(jnp.zeros(64)),
        batch.prompts.__class__(tasks["gaussian"].features(batch.prompts.xs), batch.prompts.ys),
        1.0,
    )
    exact = posterior_predictive(tasks["gaussian"], batch.prompts, 1.0)
    np.testing.assert_allclose(exact.mean, inside.mean, rtol=1e-4, atol=1e-4)


def test_families_of_prompts_and_ids_follow_the_finetuning_set():
    assert BASE.families == finetuned_on(n_tasks=5).families == ("discrete", "gaussian")
    for config in (finetuned_on(n_tasks=2), finetuned_on(tasks="other"), finetuned_on(tasks="narrow")):
        assert config.families == ("discrete", "gaussian", "finetuning")
        assert run_id("pretrain", config) == run_id("pretrain", BASE)
        assert len({run_id(stage, c) for c in (config, BASE) for stage in ("scratch", "finetune")}) == 4
    replayed = finetuned_on(replay=0.2)
    assert run_id("scratch", replayed) == run_id("scratch", BASE)
    assert run_id("finetune", replayed) != run_id("finetune", BASE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"finetune.n_tasks": 6}, ["finetune.n_tasks = 6", "at most 5"]),
        ({"finetune": {"tasks": "narrow", "n_tasks": 1}}, ["finetune.n_tasks = 1", "narrow"]),
        ({"finetune.tasks": "mine"}, ["finetune.tasks = 'mine'", "discrete, other, narrow"]),
        ({"pretrain.replay": 0.5}, ["pretrain.replay = 0.5", "only fine-tuning"]),
        ({"pretrain.tasks": "other"}, ["pretrain.tasks = 'other'", "only fine-tuning"]),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(changes, words):
    with pytest.raises(ConfigError) as caught:
        override(BASE, changes)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


PRIORS = get_args(get_type_hints(TasksConfig)["prior"])


@pytest.mark.parametrize("name", PRIORS)
def test_a_run_can_be_pretrained_on_every_prior_of_the_list(name):
    """The field says how many weights a task has; exact Bayes under the prior is no worse than the mean of it."""
    config = override(BASE, {"tasks.prior": name})
    world = world_of(config)
    tasks = world.families(0)
    batch = world.sample(jax.random.key(0), tasks["gaussian"], 256)
    assert batch.ws.shape == (256, config.tasks.n_weights)
    assert tasks["discrete"].sample(jax.random.key(1), 3).shape == (3, config.tasks.n_weights)
    answers = jax.jit(world.exact(tasks["gaussian"]))(batch.prompts)
    loss, ignorance = np.mean((answers - batch.clean_labels) ** 2, axis=0), np.mean(batch.clean_labels**2, axis=0)
    assert loss[-1] < ignorance[-1]
    assert loss[-1] < loss[0]


def test_a_narrow_gaussian_and_two_feature_maps_are_refused_where_they_mean_nothing():
    with pytest.raises(ConfigError, match=r"finetune\.tasks = 'narrow': allowed: discrete, other with"):
        override(BASE, {"tasks.prior": "student", "finetune.tasks": "narrow"})
    with pytest.raises(ConfigError, match=r"tasks\.prior = 'fourier': allowed: 'gaussian' with"):
        override(BASE, {"tasks.prior": "fourier", "tasks.relu_features": 8})
