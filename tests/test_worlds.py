"""A world that the package has never heard of goes through all of it."""

import dataclasses

import jax
import numpy as np
import pytest

from implicit_inference import worlds
from implicit_inference.config.changes import base
from implicit_inference.training.batches import held_out, log_weights, prior


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setitem(worlds.WORLDS, "coin", "coin")
    return base("coin")


def by_hand(parts, weights, throws, faces):
    """p(y_k | past) by enumeration of (part, coin): known coins exactly, fresh ones by factorials."""
    answers = []
    for k in range(len(throws)):
        counts = np.bincount(throws[:k], minlength=faces)
        evidence, means = [], []
        for part, weight in zip(parts, weights, strict=True):
            if hasattr(part, "coins"):
                for p in np.asarray(part.coins, np.float64):
                    evidence.append(weight / len(part.coins) * np.prod(p**counts))
                    means.append(p)
            else:
                evidence.append(weight * np.prod([np.prod(np.arange(1, c + 1)) for c in counts]) / rising(faces, k))
                means.append((counts + 1) / (k + faces))
        answers.append(np.average(means, axis=0, weights=evidence))
    return np.array(answers)


def rising(base, k):
    """base (base + 1) ... (base + k - 1)"""
    return np.prod(np.arange(base, base + k, dtype=np.float64))


def test_a_conjugation_without_the_field_of_its_strengths_is_refused_before_any_training(config):
    with pytest.raises(ValueError, match="bent"):
        dataclasses.replace(worlds.described("coin"), moves={"bend": worlds.Move("bent", "coins bent by {:g}")})


def test_the_generic_mixture_is_bayes_by_enumeration(config):
    world, tasks = worlds.world_of(config), prior(config, 3, log_weights(0.3))
    prompts = held_out(config, 3, "probe", "fresh", 20).prompts
    found = jax.jit(world.exact(tasks))(prompts)
    for throws, answers in zip(np.asarray(prompts), np.asarray(found), strict=True):
        np.testing.assert_allclose(answers, by_hand(tasks.parts, (0.3, 0.7), throws, 3), rtol=2e-5)


def test_it_goes_through_pretraining_finetuning_probe_figures_and_report(config, tmp_path, capsys):
    from implicit_inference.measure.probe import probe
    from implicit_inference.measure.summary import summary_of
    from implicit_inference.runs.store import Run
    from implicit_inference.show import plots, report
    from implicit_inference.training.loop import Trained, train_stage

    trained = Trained.of(config, tmp_path)
    for stage in ("pretrain", "scratch", "finetune"):
        train_stage(trained, stage, lambda progress: None)
    run = probe(trained, lambda done, of: None)
    assert Run(run.directory).config().tasks == config.tasks
    summary = summary_of(run)
    assert set(summary["loss"]) == {"known", "fresh"}
    for family, exact in (("fresh", "counts"), ("known", "known_posterior")):
        losses = {name: found["mean"] for name, found in summary["loss"][family].items()}
        assert losses["oracle"] < losses[exact] == min(loss for name, loss in losses.items() if name != "oracle")
    assert summary["loss"]["known"]["finetuned"]["mean"] < summary["loss"]["known"]["pretrained"]["mean"]
    assert all(path.stat().st_size > 1000 for path in plots.draw_all(run))
    page = report.write_beside(report.content_of(run)).read_text()
    assert "faces turned by 2" in page
    assert "ridge" not in page
    assert "abels" not in page
