from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference import keys
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.errors import ConfigError
from implicit_inference.config.stages import STAGES
from implicit_inference.keys import Stream
from implicit_inference.network import adapt
from implicit_inference.network.predictions import predict, under_every_control
from implicit_inference.regression.inference import sequential_evidence
from implicit_inference.regression.predictive import bayes_predictor
from implicit_inference.regression.prompts import sample_batch
from implicit_inference.training.batches import closeness, draw_preferences, held_out, lesson, log_weights, prior
from implicit_inference.training.loop import Trained, train_stage
from implicit_inference.training.optimisers import schedule
from implicit_inference.training.programs import Programs
from implicit_inference.training.stages import BUILDERS, account_of, kept_shapes, stage_of
from implicit_inference.worlds import world_of

TINY = {
    "seeds": [0, 1],
    "model": {"width": 8, "layers": 1, "heads": 2},
    "prompts.length": 4,
    "pretrain": {"steps": 4, "warmup": 1, "batch": 16, "target": "label"},
    **{
        f"{stage}.{name}": value
        for stage in ("finetune", "student", "tune", "steer")
        for name, value in (("steps", 4), ("warmup", 0), ("batch", 16), ("target", "label"))
    },
    "lesson.prompts": 32,
    "probe": {"scratch_steps": 4},
}
CONFIG = override(PRESETS["smoke"], TINY)

VARIANTS = {
    **{method: ("finetune", {"adapt.method": method}) for method in adapt.METHODS},
    "weights": ("finetune", {"finetune.penalty": "weights"}),
    "predictions": ("finetune", {"finetune.penalty": "predictions"}),
    "replay": ("finetune", {"finetune.replay": 0.5}),
    "student": ("student", {}),
    "tune soft prompts": ("tune", {}),
    "tune lora": ("tune", {"control.adapt.method": "lora"}),
    "steer": ("steer", {}),
    "steer fixed": ("steer", {"control.train": "network"}),
}


def trained(config, name, steps=3):
    """(state before, state after, losses [S, steps]) of a stage whose parents were never trained."""
    programs = Programs(config)
    packed = programs.packed
    stage = stage_of(config, name)
    parents = tuple(packed.by_seed(partial(_untrained, config, parent)) for parent in stage.parents)
    before = programs.first_state(stage, parents)
    kept = jax.tree.map(np.asarray, before)
    source = packed.program(stage.source)(packed.seeds, parents)
    stream = packed.by_seed(lambda seed: keys.stream(seed, name))
    rate = packed.repeated(schedule(stage.training))
    after, losses = programs.chunk(name, steps)(packed.seeds, stream, source, rate, before)
    return kept, jax.tree.map(np.asarray, after), np.asarray(losses)


def _untrained(config, name, seed):
    """Parameters that a stage keeps if it takes no step."""
    stage = stage_of(config, name)
    return stage.merge(*stage.start(seed, tuple(_untrained(config, parent, seed) for parent in stage.parents)))


QUICK = ("full",)


def test_every_stage_that_trains_has_a_builder():
    assert set(BUILDERS) == set(STAGES) - {"probe"}


@pytest.mark.parametrize("variant", [v if v in QUICK else pytest.param(v, marks=pytest.mark.slow) for v in VARIANTS])
def test_the_frozen_part_is_bit_equal_the_rest_moves_and_packed_seeds_equal_single_ones(variant):
    name, changes = VARIANTS[variant]
    config = override(CONFIG, changes)
    before, after, losses = trained(config, name)
    chex.assert_trees_all_equal(before.frozen, after.frozen)
    kept = jax.vmap(stage_of(config, name).merge)(after.params, after.frozen)
    for path, leaf in adapt.flat(before.frozen).items():
        if path not in after.params:
            chex.assert_trees_all_equal(adapt.flat(kept)[path], leaf)
    moved = [np.any(old != new) for old, new in zip(*map(jax.tree.leaves, (before.params, after.params)), strict=True)]
    assert all(moved), jax.tree.structure(before.params)
    _, _, alone = trained(override(config, {"seeds": [1]}), name)
    np.testing.assert_allclose(losses[1], alone[0], rtol=1e-4)


def test_a_controlled_network_is_the_base_without_a_control_and_under_each_its_own_patch():
    config = override(CONFIG, {"control.adapt.method": "lora"})
    stage = stage_of(config, "tune")
    params = stage.merge(*stage.start(jnp.uint32(0), (_untrained(config, "pretrain", 0),)))
    params["controls"] = jax.tree.map(
        lambda leaf: leaf + 0.1 * jnp.arange(3.0).reshape(3, *[1] * (leaf.ndim - 1)), params["controls"]
    )
    prompts = sample_batch(jax.random.key(1), world_of(config).families(0)["gaussian"], 15, 4, 1.0).prompts
    base = predict(config, params["base"], prompts)
    np.testing.assert_array_equal(predict(config, params, prompts), base)
    controlled = [predict(config, params, prompts, c) for c in range(3)]
    np.testing.assert_allclose(controlled[0], base, rtol=1e-6)
    for c in (1, 2):
        part = adapt.merge(jax.tree.map(lambda leaf, c=c: leaf[c], params["controls"]), params["base"])
        np.testing.assert_allclose(controlled[c], predict(config, part, prompts), rtol=1e-6)
        assert np.all(controlled[c] != base)
    grouped = jax.tree.map(lambda leaf: leaf.reshape(5, 3, *leaf.shape[1:]), prompts)
    mixed = under_every_control(config, params, grouped)
    for c in range(3):
        np.testing.assert_allclose(mixed[:, c], controlled[c].reshape(5, 3, 4)[:, c], rtol=1e-5, atol=1e-6)


def test_a_preference_is_shown_prompts_of_its_own_mixture():
    config = override(
        CONFIG, {"steer.batch": 4000, "steer.target": "label", "prompts.length": 2, "control.grades": [1.0, 0.25]}
    )
    stage = stage_of(config, "steer")
    weights = stage.source(jnp.uint32(0), ())
    prompts, targets = jax.jit(lambda key: draw_preferences(config, config.steer, 0, weights, key))(jax.random.key(0))
    assert prompts.xs.shape == (4000, 2, 2, 2)
    np.testing.assert_array_equal(targets, prompts.ys)
    for c, grade in enumerate(config.control.grades):
        mixture = prior(config, 0, log_weights(grade))
        part = np.asarray(sequential_evidence(mixture, jax.tree.map(lambda leaf, c=c: leaf[:, c], prompts), 1.0))[:, -1]
        drawn = sample_batch(jax.random.key(1), mixture, 4000, 2, 1.0).prompts
        expected = np.asarray(sequential_evidence(mixture, drawn, 1.0))[:, -1]
        error = np.sqrt(part.var() / 4000 + expected.var() / 4000)
        assert abs(part.mean() - expected.mean()) < 4 * error


@pytest.mark.slow
def test_steering_starts_from_the_tuned_controls_and_no_steps_keep_them(tmp_path):
    trained = Trained.of(CONFIG, tmp_path)
    for name in ("pretrain", "tune", "steer"):
        train_stage(trained, name, lambda progress: None)
    assert trained.run_of("steer").info()["parents"] == [trained.run_of("tune").id]
    tuned, steered, base = trained.params_of("tune"), trained.params_of("steer"), trained.params_of("pretrain")
    chex.assert_trees_all_equal(tuned["base"], base)
    for moved, start in ((steered["base"], base), (steered["controls"], tuned["controls"])):
        with pytest.raises(AssertionError, match="not equal"):
            chex.assert_trees_all_equal(moved, start)
    unsteered = Trained.of(override(CONFIG, {"steer.steps": 0}), tmp_path)
    run = train_stage(unsteered, "steer", lambda progress: None)
    chex.assert_trees_all_equal(unsteered.params_of("steer"), tuned)
    assert {record["family"] for record in run.read_table("training.parquet")} == {"discrete", "gaussian"}


def test_a_lesson_is_gaussian_prompts_with_later_labels_from_the_teacher_the_farthest_kept():
    config = override(CONFIG, {"lesson": {"prompts": 100, "farthest": 0.25, "as_drawn": 0.5}})
    exact = bayes_predictor(world_of(config).families(0)["discrete"], 1.0)
    prompts = lesson(config, 0, exact)
    found = closeness(config, 0, prompts)
    assert prompts.ys.shape == (100, 4)
    everything = lesson(override(config, {"lesson": {"prompts": 400, "farthest": 1.0}}), 0, exact)
    np.testing.assert_allclose(np.sort(found), np.sort(closeness(config, 0, everything))[:100], rtol=1e-5)
    families = world_of(config).families(0)
    ratio = [np.asarray(sequential_evidence(families[f], prompts, 1.0))[:, -1] for f in ("discrete", "gaussian")]
    np.testing.assert_allclose(found, ratio[0] - ratio[1], rtol=1e-4, atol=1e-4)
    truth = lesson(override(config, {"lesson": {"prompts": 400, "farthest": 1.0}}), 0, None)
    order = {tuple(x): i for i, x in enumerate(np.asarray(truth.xs[:, 0]).tolist())}
    at = [order[tuple(x)] for x in np.asarray(everything.xs[:, 0]).tolist()]
    np.testing.assert_array_equal(np.asarray(everything.ys[:, :2]), np.asarray(truth.ys)[at, :2])
    batch = sample_batch(keys.stream(0, "lesson"), families["gaussian"], 400, 4, 1.0)
    noise = np.asarray(batch.prompts.ys - batch.clean_labels)
    drawn = {tuple(x): i for i, x in enumerate(np.asarray(batch.prompts.xs[:, 0]).tolist())}
    records = [drawn[tuple(x)] for x in np.asarray(everything.xs[:, 0]).tolist()]
    np.testing.assert_allclose((everything.ys - exact(everything))[:, 2:], noise[records, 2:], atol=1e-5)


def test_the_student_learns_only_what_the_teacher_answered():
    config = override(CONFIG, {"lesson.as_drawn": 0.75})
    stage = stage_of(config, "student")
    params = _untrained(config, "pretrain", 0)
    shown = lesson(config, 0, None)
    prompts, targets = stage.draw(jnp.uint32(0), shown, jax.random.key(0), lambda batch: batch)
    assert targets.shape == (16, 1)
    np.testing.assert_array_equal(targets, prompts.ys[:, 3:])
    np.testing.assert_allclose(stage.predict(params, prompts), predict(config, params, prompts)[:, 3:])
    assert kept_shapes(config, "student")["positions"].shape == (4, 8)


def test_the_teacher_is_the_second_parent_or_exact_bayes_or_nobody():
    first, second = (_untrained(CONFIG, "pretrain", seed) for seed in (0, 1))
    known = {
        "finetuned": partial(predict, CONFIG, second),
        "bayes": bayes_predictor(world_of(CONFIG).families(0)["discrete"], 1.0),
        "account": account_of(CONFIG, jnp.uint32(0), partial(predict, CONFIG, second)),
        "truth": None,
    }
    for name, expected in known.items():
        config = override(CONFIG, {"lesson.teacher": name})
        stage = stage_of(config, "student")
        parents = (first, second)[: len(stage.parents)]
        np.testing.assert_allclose(
            stage.source(jnp.uint32(0), parents).ys, lesson(config, 0, expected).ys, rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize(("odds", "weight"), [(1.5, 0.4), (-2.0, 1.0), (0.0, 0.05)])
def test_an_account_of_an_exact_mixture_is_that_mixture(odds, weight):
    config = override(CONFIG, {"prompts.length": 8})
    world = world_of(config)
    first, second = world.families(0).values()

    def mixture(prompts):
        gate = jax.nn.sigmoid(odds + weight * world.log_odds(first, second, prompts))
        exact, other = world.exact(first)(prompts), world.exact(second)(prompts)
        return other + gate * (exact - other)

    prompts = held_out(config, 0, Stream.REPORT, "gaussian", 64).prompts
    found = account_of(config, jnp.uint32(0), mixture)(prompts)
    np.testing.assert_allclose(found, mixture(prompts), atol=1e-4)
    assert np.abs(found - world.exact(second)(prompts)).max() > 0.1


def test_a_stranger_is_the_next_network_of_the_same_tasks(monkeypatch, tmp_path):
    config = override(CONFIG, {"seeds": [0, 1, 2, 3], "worlds": 2, "lesson.teacher": "stranger"})
    trained = Trained.of(config, tmp_path)
    monkeypatch.setattr(Trained, "params_of", lambda self, stage: self.programs.packed.seeds)
    network, teacher = trained.parent_params(stage_of(config, "student"))
    np.testing.assert_array_equal(network, [0, 1, 2, 3])
    np.testing.assert_array_equal(teacher, [2, 3, 0, 1])
    own = override(config, {"lesson.teacher": "finetuned"})
    np.testing.assert_array_equal(trained.parent_params(stage_of(own, "student"))[1], [0, 1, 2, 3])


@pytest.mark.parametrize(
    ("seeds", "worlds"), [([0, 1, 2, 3], 0), ([0, 1], 2), ([0, 1, 2], 2), ([0, 2, 1, 3], 2), ([0, 1, 2, 3], 7)]
)
def test_a_stranger_needs_another_seed_with_the_same_tasks(seeds, worlds):
    with pytest.raises(ConfigError, match=r"lesson.teacher = 'stranger': allowed: another teacher, unless `worlds` is"):
        override(CONFIG, {"seeds": seeds, "worlds": worlds, "lesson.teacher": "stranger"})


def test_a_control_that_is_not_there_is_refused():
    programs = Programs(CONFIG)
    params = jax.eval_shape(lambda: _untrained(CONFIG, "pretrain", 0))
    with pytest.raises(ValueError, match="control 0: the network has 0 controls"):
        programs.network(params, 0)
    with pytest.raises(ValueError, match="control 3: the network has 3 controls"):
        programs.network({"base": params, "controls": {}}, 3)
