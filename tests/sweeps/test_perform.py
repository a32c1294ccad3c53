"""A whole sweep: told first, resumed by the same command, one table, one page, failures listed; by made-up runs."""

import contextlib
import json
import os
import random
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


SIXTY = """
config = "start.toml"
stages = ["finetune"]
[product]
finetune.replay = {start = 0.0, stop = 0.9, num = 10}
finetune.learning_rate = [1e-4, 2e-4, 3e-4]
pretrain.learning_rate = [1e-3, 2e-3]
"""
AXES = ["finetune.replay", "finetune.learning_rate", "pretrain.learning_rate"]
MARK = "IMPLICIT_INFERENCE_TEST"
"""An environment variable, by which the processes of one sweep are known."""


def _run(folder, on, kills):
    """Runs the sweep of sixty in a folder until it ends well; returns its table.

    `kills` random workers are killed on the way, one every few seconds, and the driver once. No finished run may be
    written again.
    """
    folder.mkdir()
    (folder / "start.toml").write_text(to_toml(TINY))
    (folder / "sweep.toml").write_text(SIXTY)
    command = [sys.executable, "-m", "implicit_inference", "sweep", "sweep.toml", "--on", on]
    chance, killed, drivers, ended = random.Random(0), 0, 0, {}
    for _ in range(20):
        driver = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            while driver.poll() is None:
                time.sleep(chance.uniform(2, 5))
                if killed < kills and (workers := _workers()):
                    with contextlib.suppress(ProcessLookupError):  # it has ended
                        os.kill(chance.choice(workers), signal.SIGKILL)
                        killed += 1
                if not drivers and 2 * killed > kills and driver.poll() is None:
                    driver.kill()
                    drivers += 1
                for path in folder.glob("runs/*-*/run.json"):
                    if json.loads(path.read_text())["finished"]:
                        assert ended.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
        finally:
            driver.kill()
            driver.wait()
        if driver.returncode == 0:
            break
    assert driver.returncode == 0
    assert (killed, drivers) == (kills, min(kills, 1))
    assert not [*folder.glob("runs/*/lock")]
    assert len([*folder.glob("runs/finetune-*")]) == 60
    (sweep,) = folder.glob("runs/sweep-*")
    return pd.read_parquet(sweep / "table.parquet")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The table of the sweep of sixty that nothing disturbs, on a pool of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_NUM_CPU_DEVICES", "1")
        return _run(tmp_path_factory.mktemp("sweep") / "undisturbed", "local", 0)


@pytest.fixture
def place(request, monkeypatch, tmp_path):
    """Where a sweep goes: a pool of this machine, or a Ray cluster of two workers that is started for it."""
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    monkeypatch.setenv(MARK, str(tmp_path))
    if request.param == "local":
        yield "local"
        return
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        yield f"ray:{cluster.address}"
    finally:
        cluster.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "place", ["local", pytest.param("ray", marks=pytest.mark.filterwarnings("ignore"))], indirect=True
)
def test_a_killer_of_workers_and_drivers_loses_nothing_and_doubles_nothing(place, undisturbed, tmp_path):
    """The table of sixty runs whose processes are killed again and again is that of an undisturbed sweep."""
    disturbed = _run(tmp_path / "disturbed", place, kills=12)
    pd.testing.assert_frame_equal(undisturbed, disturbed)
    assert len(disturbed.groupby(AXES)) == 60


def _workers():
    """The processes of jobs that belong to the sweep at hand."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            command, mark = (process / "cmdline").read_bytes(), f"{MARK}={os.environ[MARK]}".encode()
            if b"implicit_inference.job" in command and mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found
