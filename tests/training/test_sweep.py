"""Many runs for one question: skipped where finished, resumed where interrupted, shared where equal."""

import pytest
from made_up import TINY, finished

from implicit_inference.config.changes import override
from implicit_inference.config.errors import ConfigError
from implicit_inference.runs.store import Run
from implicit_inference.training.sweep import sweep, unfinished, varied_fields
from implicit_inference.training.watching import Progress

VARIANTS = [{}, {"finetune.discrete_prob": 0.9}]
STAGES = ("pretrain", "finetune")


def name_of(trained):
    return [{"run": trained.run_of("finetune").id, "finished": trained.run_of("finetune").finished}]


def pretend(trained, stage, report):
    """Does as `train_stage` promises a sweep, without the training; test_run holds the real one to it."""
    run = trained.run_of(stage)
    if not run.finished:
        for step in (0, 10):
            report(Progress(stage, step, 10, {}))
        finished(run, trained.config, [trained.run_of("pretrain")] if stage == "finetune" else [])
    return run


def trained(runs, report=lambda fraction, text: None):
    return sweep(TINY, VARIANTS, STAGES, name_of, runs, report)


def test_a_sweep_resumes_shares_parents_joins_records_and_then_skips(tmp_path, monkeypatch):
    monkeypatch.setattr("implicit_inference.training.sweep.train_stage", pretend)

    def interrupt(fraction, text):
        if text.startswith("finetune"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, interrupt)
    assert [Run(path).stage for path in tmp_path.iterdir() if Run(path).finished] == ["pretrain"]
    fractions = []
    records = trained(tmp_path, lambda fraction, text: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    runs = [Run(path) for path in tmp_path.iterdir()]
    assert sorted(run.stage for run in runs) == ["finetune"] * 2 + ["pretrain"]
    assert len({tuple(run.info()["parents"]) for run in runs if run.stage == "finetune"}) == 1
    assert [record["finetune.discrete_prob"] for record in records] == [1.0, 0.9]
    assert len({record["run"] for record in records}) == 2
    assert all(record["finished"] for record in records)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    as_text = []
    assert trained(tmp_path, lambda fraction, text: as_text.append(text)) == records
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert len(as_text) == 2
    assert all(text.startswith("measuring") for text in as_text)


def test_work_is_counted_once_for_what_is_shared(tmp_path):
    configs = [override(TINY, {"finetune.steps": steps}) for steps in (20, 30)]
    costs = unfinished(configs, STAGES, tmp_path)
    assert [name.split("-")[0] for name in costs] == ["pretrain", "finetune", "finetune"]
    pretrain, first, second = costs.values()
    assert (pretrain, second) == (2 * first, 1.5 * first)


def test_every_varied_field_has_a_value_in_every_record():
    variants = [{}, {"tasks.dim": 3}, {"seeds": [5]}]
    found = varied_fields([override(TINY, variant) for variant in variants], variants)
    assert found == [
        {"tasks.dim": 2, "seeds": (0, 1)},
        {"tasks.dim": 3, "seeds": (0, 1)},
        {"tasks.dim": 2, "seeds": (5,)},
    ]


def test_a_wrong_override_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ConfigError, match=r"tasks\.dims"):
        sweep(TINY, [{}, {"tasks.dims": 3}], STAGES, name_of, tmp_path, lambda fraction, text: None)
    assert list(tmp_path.iterdir()) == []
