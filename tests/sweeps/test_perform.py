"""A whole sweep: told first, resumed by the same command, one table, one page, failures listed; by made-up runs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from made_up import CONFIG, TINY, finished, table

import implicit_inference as ii
from implicit_inference.cli import main
from implicit_inference.config.changes import base, override, to_toml
from implicit_inference.config.identity import parent_ids, run_id
from implicit_inference.engines.engine import Place
from implicit_inference.engines.processes import Ended
from implicit_inference.measure.summary import summarise
from implicit_inference.runs.store import Run
from implicit_inference.sweeps.table import _summary

FILE = """
config = "start.toml"
[product]
finetune.replay = [0.0, 0.5]
tasks.n_discrete = {start = 2, stop = 8, step = 2, scale = "log"}
"""


RECORDS = table()
SUMMARY = summarise(RECORDS, CONFIG)
LOSSES = [
    {"step": step, "seed": seed, "family": family, "predictor": predictor, "mean": 2.0 + (predictor == "network")}
    for step in (0, 10)
    for seed in CONFIG.seeds
    for family in ("discrete", "gaussian")
    for predictor in ("network", "bayes")
]


class Pretend:
    """An engine that makes finished runs up; `faults` says which replays fail."""

    places = 2

    def __init__(self, faults):
        self.faults, self._ended = faults, []

    def submit(self, id, text):
        job = json.loads(text)
        config = override(base(job["config"]["world"]), job["config"])
        fault = self.faults.get(config.finetune.replay) if "probe" in job["stages"] else None
        if fault is None:
            for stage in job["stages"]:
                self._make(stage, config, job["runs"])
        self._ended.append(Ended(id, fault))

    def _make(self, stage, config, runs):
        run = Run(Path(runs) / run_id(stage, config))
        parents = [Run(run.directory.parent / parent) for parent in parent_ids(stage, config)]
        result = {"id": run.id, "summary": SUMMARY}
        probe = {"table.parquet": RECORDS[::40], "result.json": result}
        finished(run, config, parents, probe if stage == "probe" else {"training.parquet": LOSSES})

    def gather(self):
        found, self._ended = self._ended, []
        return found

    def close(self):
        pass


@pytest.fixture
def faults(tmp_path, monkeypatch):
    found = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Place, "opened", lambda *arguments: Pretend(found))
    (tmp_path / "start.toml").write_text(to_toml(CONFIG))
    (tmp_path / "sweep.toml").write_text(FILE)
    return found


def test_a_sweep_is_told_first_resumes_and_lists_what_failed(faults, tmp_path, capsys):
    faults[0.5] = "finetune diverged & <burned>"
    assert main(["sweep", "sweep.toml"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("6 runs, of which 0 exist; 12 jobs\n2 jobs at once, about")
    assert "time: not known" in out.split("sweep:")[0]
    assert err.count("\n") == 3
    assert err.count(": finetune diverged") == 3
    (folder,) = tmp_path.glob("runs/sweep-*")
    page = (folder / "report.html").read_text()
    assert "and 3 that failed" in page
    assert page.count("finetune diverged &amp; &lt;burned&gt;") == 3
    assert set(pd.read_parquet(folder / "table.parquet")["finetune.replay"]) == {0.0}
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*-*/[a-q]*") if "sweep-" not in str(path)}
    faults.clear()
    assert main(["sweep", "sweep.toml"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("6 runs, of which 3 exist; 3 jobs\n")
    assert "time: about 0:00:" in out
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert main(["sweep", str(folder / "sweep.toml")]) == 0
    assert capsys.readouterr().out.startswith("6 runs, of which 6 exist; 0 jobs\ntable")
    assert [*tmp_path.glob("runs/sweep-*")] == [folder]
    assert "failed" not in (folder / "report.html").read_text()


def test_one_table_holds_the_rows_of_all_probes_with_the_axes_as_columns(faults, tmp_path):
    swept = ii.sweep("sweep.toml", on="local", progress=False)
    parts = []
    for replay in (0.0, 0.5):
        for n in (2, 4, 8):
            part = ii.run(tmp_path / "start.toml", {"finetune.replay": replay, "tasks.n_discrete": n}).table
            parts.append(part.assign(**{"finetune.replay": replay, "tasks.n_discrete": n}))
    pd.testing.assert_frame_equal(swept, pd.concat(parts, ignore_index=True)[[*swept.columns]])
    assert [*swept.columns][:3] == ["finetune.replay", "tasks.n_discrete", "seed"]
    assert "failed" not in swept.attrs
    (folder,) = tmp_path.glob("runs/sweep-*")
    text = pd.read_csv(folder / "table.csv")
    assert [*text.columns] == [*swept.columns]
    assert len(text) == len(swept)
    assert text["mean"].sum() == pytest.approx(swept["mean"].sum())
    faults[0.25] = "diverged"
    swept = ii.sweep(CONFIG, {"finetune.replay": [0.0, 0.25], "seeds": [(3, 5, 8)]}, on="local", progress=False)
    assert set(swept["seeds"]) == {(3, 5, 8)}
    ((run, reason),) = swept.attrs["failed"].items()
    assert (run.split("-")[0], reason) == ("probe", "diverged")


def test_headline_numbers_and_losses_are_tables_too(faults, tmp_path):
    axes = {"finetune.replay": [0.0, 0.5]}
    swept = ii.sweep(CONFIG, axes, measure="summary", on="local", progress=False)
    assert [*swept.columns] == ["finetune.replay", "number", "mean", "stderr"]
    forgetting = swept[swept["number"] == "forgetting.early"]
    assert forgetting["mean"].tolist() == pytest.approx([1.0, 1.0])
    config = override(CONFIG, {"finetune.replay": 0.5})
    for name, number in _summary(Run(tmp_path / "runs" / run_id("probe", config))).items():
        (found,) = swept[(swept["number"] == name) & (swept["finetune.replay"] == 0.5)]["mean"]
        assert (found != found) if number["mean"] is None else found == number["mean"]
    stages = ["finetune"]
    swept = ii.sweep(CONFIG, axes, {"tasks.dim": 3}, stages=stages, on="local", progress=False)
    assert set(swept["stage"]) == {"pretrain", "finetune"}
    assert len(swept) == 2 * 2 * 2 * 2 * 2 * len(CONFIG.seeds)
    page = max(tmp_path.glob("runs/sweep-*/report.html"), key=lambda path: path.stat().st_mtime_ns).read_text()
    assert page.count('<td class="number">1.000 ± 0.000</td>') == 2  # loss above exact Bayes


def test_a_damaged_run_is_left_out_by_name(faults, tmp_path, capsys):
    assert main(["sweep", "sweep.toml"]) == 0
    damaged = sorted(tmp_path.glob("runs/probe-*"))[0]
    (damaged / "table.parquet").write_bytes(b"x")
    capsys.readouterr()
    assert main(["sweep", "sweep.toml"]) == 1
    assert f"failed: {damaged.name}: " in capsys.readouterr().err
    (folder,) = tmp_path.glob("runs/sweep-*")
    assert len(pd.read_parquet(folder / "table.parquet").groupby(["finetune.replay", "tasks.n_discrete"])) == 5


TINY_FILE = """
config = "start.toml"
stages = ["finetune"]
[product]
finetune.replay = {start = 0.0, stop = 0.9, num = 10}
pretrain.learning_rate = [1e-3, 2e-3]
"""
COMMAND = [sys.executable, "-m", "implicit_inference", "sweep", "sweep.toml"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_killer_of_workers_and_drivers_loses_nothing_and_doubles_nothing(tmp_path):
    """The table of a sweep whose processes are killed again and again is that of an undisturbed one."""
    tables, began = {}, {}
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}
    for name in ("undisturbed", "disturbed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "start.toml").write_text(to_toml(TINY))
        (tmp_path / name / "sweep.toml").write_text(TINY_FILE)
        for attempt in range(20):
            driver = subprocess.Popen(COMMAND, cwd=tmp_path / name, env=environment, stdout=subprocess.DEVNULL)
            while name == "disturbed" and attempt < 4 and driver.poll() is None:
                time.sleep(4)
                if workers := _children(driver.pid):
                    with contextlib.suppress(ProcessLookupError):  # it has ended
                        os.kill(workers[attempt % len(workers)], signal.SIGKILL)
                if attempt == 1:
                    driver.kill()
            code = driver.wait()
            for path in (tmp_path / name).glob("runs/*-*/run.json"):
                if json.loads(path.read_text())["finished"]:
                    assert began.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
            if code == 0:
                break
        (folder,) = (tmp_path / name).glob("runs/sweep-*")
        tables[name] = pd.read_parquet(folder / "table.parquet")
        assert not [*(tmp_path / name).glob("runs/*/lock")]
    assert attempt > 0
    pd.testing.assert_frame_equal(tables["undisturbed"], tables["disturbed"])
    assert len(tables["disturbed"].groupby(["finetune.replay", "pretrain.learning_rate"])) == 20


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as found:
        return [int(child) for child in found.read().split()]
