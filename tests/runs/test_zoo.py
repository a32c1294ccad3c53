"""The zoo is whole, small, read like any other run, and never written to."""

import numpy as np
import pytest
from made_up import probe_run

import implicit_inference as ii
from implicit_inference.cli import main
from implicit_inference.config.changes import PRESETS
from implicit_inference.config.identity import content, run_id
from implicit_inference.runs import zoo
from implicit_inference.runs.store import Run, StoreError
from implicit_inference.worlds import world_of

NAMES = [f"zoo/{preset}" for preset in zoo.KEPT]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_the_one_that_was_written(name):
    probe = zoo.probe_of(name)
    assert content("probe", probe.config()) == content("probe", PRESETS[name.removeprefix(zoo.PREFIX)])
    for run in (*probe.parents(), probe):
        assert run.finished
        assert {path.name for path in run.directory.iterdir()} == {"run.json", *run.info()["files"]}
        for file in run.info()["files"]:
            run.read(file)


def test_the_networks_take_less_than_five_megabytes():
    assert sum(path.stat().st_size for path in zoo.ZOO.rglob("params.safetensors")) < 5 * 2**20


@pytest.mark.parametrize("name", NAMES)
def test_a_network_answers_as_its_table_says(name):
    run = ii.load(name)
    world, table = world_of(run.config), run.table
    for family in run.config.families[:2]:
        batch = run.held_out(family)
        for network in ("pretrained", "finetuned", "scratch"):
            answers = world.judged(np.asarray(run.predictor(network)(batch.prompts), np.float64), batch.prompts)
            losses = world.score.loss(answers, np.asarray(world.truth(batch), np.float64)).mean(axis=0)
            labels = {"quantity": "loss", "split": "report", "conjugation": "identity", "seed": run.config.seeds[0]}
            rows = table[table["position"].notna()]
            for column, label in (labels | {"family": family, "predictor": network}).items():
                rows = rows[rows[column] == label]
            np.testing.assert_allclose(losses, rows.sort_values("position")["mean"], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_the_zoo_is_shown_and_drawn_elsewhere_and_never_written_to(tmp_path, capsys):
    before = contents(zoo.ZOO)
    assert main(["show", "zoo/demo"]) == 0
    assert "net recovery" in capsys.readouterr().out
    assert main(["report", "zoo/demo", "--out", str(tmp_path / "page.html")]) == 0
    assert len(ii.load("zoo/demo").figures(tmp_path)) > 5
    capsys.readouterr()
    for command in ("figures", "report"):
        assert main([command, "zoo/demo"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert contents(zoo.ZOO) == before


def test_another_name_is_refused_with_those_that_there_are():
    for name in ("zoo/", "zoo/smoke", "zoo/demo/"):
        with pytest.raises(StoreError, match="allowed: zoo/demo, zoo/language-demo"):
            ii.load(name)


def test_it_is_filled_from_finished_runs_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "ZOO", tmp_path / "zoo")
    with pytest.raises(StoreError, match="no finished probe of smoke"):
        zoo.fill(tmp_path, ["smoke"])
    assert not zoo.ZOO.exists()
    made = probe_run(tmp_path / "runs", PRESETS["smoke"])
    assert zoo.fill(tmp_path / "runs", ["smoke"]) == [made]
    assert zoo.probe_of("zoo/smoke") == Run(zoo.ZOO / run_id("probe", PRESETS["smoke"]))
    assert contents(zoo.ZOO).keys() >= {zoo.ZOO / made.id / "table.parquet"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_run_says_the_same(name, tmp_path):
    fresh, kept = ii.run(name.removeprefix(zoo.PREFIX), runs=tmp_path).summary, ii.load(name).summary
    for part in ("forgetting", "gain"):
        for where in ("early", "late"):
            known = kept[part][where]
            np.testing.assert_allclose(fresh[part][where]["mean"], known["mean"], atol=2 * known["stderr"])
    for where in ("early", "late"):
        known = kept["recovery"][where]["net_of_pretrained"]
        found = fresh["recovery"][where]["net_of_pretrained"]
        np.testing.assert_allclose(found["mean"], known["mean"], atol=2 * known["stderr"])
