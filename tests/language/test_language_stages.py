"""Lessons and controls in the language world: what is shown, by whom it is answered, under which control."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference.config.changes import PRESETS, override
from implicit_inference.measure.lookup import Table
from implicit_inference.measure.probe import probe
from implicit_inference.training.batches import closeness, lesson
from implicit_inference.training.loop import Trained, train_stage
from implicit_inference.training.stages import stage_of, teacher
from implicit_inference.worlds import world_of

STEPS = {"steps": 4, "warmup": 1, "batch": 32}
CONFIG = override(
    PRESETS["language-smoke"],
    {
        "tasks": {"concepts": 5, "skills": 3, "languages": [0.5, 0.3, 0.2], "epsilon": 0.01, "uninstructed": 0.25},
        "model": {"width": 8, "layers": 1},
        **dict.fromkeys(("pretrain", "finetune", "student", "tune", "steer"), STEPS),
        "lesson": {"prompts": 400, "teacher": "bayes"},
        "control.grades": [0.0, 1.0],
        "probe": {"prompts": 32, "scratch_steps": 4},
    },
)
C, L, START = 5, 3, CONFIG.lesson_start
WORLD = world_of(CONFIG)


def taught(config=CONFIG, by="bayes"):
    """The lesson of seed 0."""
    config = override(config, {"lesson.teacher": by})
    return jax.tree.map(np.asarray, jax.jit(lambda: lesson(config, 0, teacher(config, 0, ())))())


def instructed(prompts):
    """(where a document has an instruction, its answers as the instructed table gives them [n, K])"""
    tables = np.asarray(WORLD.skills(0).tables)
    return prompts.instruction >= 0, np.take_along_axis(tables[prompts.instruction], prompts.xs % C, axis=1)


def test_a_teacher_follows_the_instructions_of_fresh_english_documents_and_the_truth_does_not():
    by_bayes, by_truth = taught(), taught(by="truth")
    assert np.all(by_bayes.language == 0)
    assert np.all(by_bayes.ys[:, :START] < C)
    asked, answers = instructed(by_bayes)
    assert np.mean(asked) == pytest.approx(1 - CONFIG.tasks.uninstructed, abs=0.07)
    follows = (by_bayes.ys == answers)[asked]
    assert np.mean(follows[:, START:]) == pytest.approx(1 - 0.01 + 0.01 / C, abs=0.02)
    assert np.mean(follows[:, :START]) == pytest.approx(1 / C, abs=0.06), "as drawn, from fresh tables"
    asked, answers = instructed(by_truth)
    assert np.mean((by_truth.ys == answers)[asked]) == pytest.approx(1 / C, abs=0.04)


def test_the_filter_keeps_the_documents_that_the_known_tables_explain_the_least():
    everything = taught(override(CONFIG, {"lesson.prompts": 800}))
    kept = taught(override(CONFIG, {"lesson": {"prompts": 200, "farthest": 0.25}}))
    odds = [np.asarray(jax.jit(lambda p: closeness(CONFIG, 0, p))(prompts)) for prompts in (kept, everything)]
    np.testing.assert_allclose(odds[0], np.sort(odds[1])[:200], rtol=1e-5, atol=1e-5)


def test_a_teacher_may_answer_in_another_language_and_the_student_is_shown_its_words():
    def foreign(documents):
        return jnp.broadcast_to(jax.nn.one_hot(C + 1, C * L + 1), (*documents.ys.shape, C * L + 1))

    prompts = jax.jit(lambda: lesson(CONFIG, 0, foreign))()
    np.testing.assert_array_equal(prompts.ys[:, START:], C + 1)
    assert np.isfinite(closeness(CONFIG, 0, prompts)).all()
    stage = stage_of(CONFIG, "student")
    documents, targets = stage.draw(jnp.uint32(0), prompts, jax.random.key(0), lambda batch: batch)
    np.testing.assert_array_equal(np.argmax(targets, axis=-1), np.asarray(documents.ys)[:, START:])


@pytest.mark.parametrize("name", ["tune", "steer"])
def test_one_control_stands_for_instructions_and_one_for_exemplars_in_every_language(name):
    stage = stage_of(override(CONFIG, {f"{name}.batch": 500}), name)
    assert {family: stage.control(family) for family in CONFIG.families} == {
        "fresh": 0,
        "fresh_elsewhere": 0,
        "known": 1,
        "known_elsewhere": 1,
    }
    source = stage.source(jnp.uint32(0), ())
    prompts, targets = jax.jit(lambda: stage.draw(jnp.uint32(0), source, jax.random.key(1), lambda batch: batch))()
    np.testing.assert_allclose(np.sum(targets, axis=-1), 1, rtol=1e-5)
    for control, rate in ((0, 1 / C), (1, 1 - 0.01 + 0.01 / C)):
        part = jax.tree.map(lambda leaf, c=control: np.asarray(leaf[:, c]), prompts)
        asked, answers = instructed(part)
        np.testing.assert_allclose(np.bincount(part.language, minlength=L) / 500, CONFIG.tasks.languages, atol=0.08)
        assert np.mean((part.ys % C == answers % C)[asked]) == pytest.approx(rate, abs=0.06)


@pytest.mark.slow
def test_students_and_controls_are_trained_and_probed_like_fine_tuning(tmp_path):
    config = override(CONFIG, {"lesson.teacher": "finetuned", "lesson.prompts": 64})
    trained = Trained.of(config, tmp_path)
    for stage in ("pretrain", "scratch", "finetune", "student", "tune", "steer"):
        train_stage(trained, stage, lambda progress: None)
    for stage, network in (("student", "student"), ("steer", "steered")):
        probed = override(config, {"probe.stage": stage})
        run = probe(Trained.of(probed, tmp_path), lambda done, of: None)
        table = Table(run.read_table("table.parquet"), probed)
        for family in config.families:
            before, after = (table.curve(name, family) for name in ("pretrained", network))
            assert np.isfinite(after).all()
            assert np.any(before != after)
