"""The commands of the bench, in miniature."""

import csv
import subprocess
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from made_up import TINY

from implicit_inference.bench import exact_inference, exactness, memory, methods, time_to_result
from implicit_inference.bench.road import __main__ as road
from implicit_inference.config.changes import override
from implicit_inference.config.errors import UserError
from implicit_inference.regression.predictive import posterior_predictive
from implicit_inference.runs import process
from implicit_inference.sweeps import overhead


def cells(printed):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()]


def test_the_errors_of_exact_inference_are_those_of_float32(monkeypatch, capsys):
    for grid in ("SIGMAS", "TAUS", "GAMMAS", "ALPHAS"):
        monkeypatch.setattr(exactness, grid, (0.5,))
    exactness.main(["--longest", "12"])
    header, _, record = cells(capsys.readouterr().out)
    assert header[1:] == list(exactness.QUANTITIES)
    assert record[0] == "12, 4, 4"
    assert all(0 < float(error) < 1e-6 for error in record[1:])


def test_the_usual_ways_to_compute_it_predict_alike():
    prompts, worlds = exact_inference.world((5, 2, 3, 4))
    scipy = exact_inference.SciPy(prompts, worlds["discrete"].ws)
    for part, tasks in worlds.items():
        expected = posterior_predictive(tasks, prompts, exact_inference.SIGMA).mean
        loop = exact_inference.loop_over_prefixes(prompts, worlds["discrete"].ws, part)
        for other in (loop(), getattr(scipy, part)()):
            np.testing.assert_allclose(other, expected, rtol=1e-4, atol=1e-5)
    ridge = posterior_predictive(worlds["gaussian"], prompts, exact_inference.SIGMA).mean
    np.testing.assert_allclose(exact_inference.batched_solve(prompts)(), ridge, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_exact_inference_takes_turns_with_the_usual_ways(capsys):
    exact_inference.main(["--lengths", "6", "--dims", "2", "--tasks", "3", "--prompts", "4", "--rounds", "1"])
    records = cells(capsys.readouterr().out)[2:]
    assert [record[:2] for record in records] == [["6, 2, 3, 4", part] for part in ("gaussian", "discrete", "mixture")]
    assert "nan" not in str(records)


def test_the_cost_of_fine_tuning_counts_what_trains(monkeypatch, capsys):
    monkeypatch.setattr(methods, "PRESETS", {"demo": TINY})
    monkeypatch.setattr(methods, "WAYS", {"full": {"adapt.method": "head"}})
    monkeypatch.setattr(methods, "STEPS", 1)
    methods.main(["--rounds", "1"])
    (record,) = cells(capsys.readouterr().out)[2:]
    assert record[:3] == ["full", "9", "0.000"]
    assert record[-1] == "1 (1-1)"


@pytest.mark.slow
def test_time_to_result_writes_the_excess_at_every_evaluation(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    tiny = override(TINY, {"pretrain.batch": 8, "probe.prompts": 8})
    monkeypatch.setattr(time_to_result, "PRESETS", {"demo": tiny})
    monkeypatch.setattr(time_to_result, "VARIANTS", {"tiny": {}})
    monkeypatch.setattr(time_to_result, "timed_steps", lambda configs: dict.fromkeys(configs, 0.01))
    time_to_result.main(["--seconds", "1"])
    with open(time_to_result.TABLE) as table:
        records = list(csv.DictReader(table))
    assert {(record["variant"], record["n"], record["steps"]) for record in records} == {("tiny", "4", "100")}
    assert [float(record["seconds"]) for record in records] == pytest.approx(
        [0.01 * float(record["step"]) for record in records]
    )
    assert records[-1]["step"] == "100"
    assert jnp.isfinite(jnp.array([float(record["excess"]) for record in records])).all()


@pytest.mark.parametrize(
    ("command", "arguments", "fault"),
    [
        (methods, ["--rounds", "0"], "rounds = '0'"),
        (methods, ["--fast"], "--fast"),
        (exact_inference, ["--lengths", "16", "-1"], "lengths = '-1'"),
        (exact_inference, ["--dims", "2.5"], "dims = '2.5'"),
        (exact_inference, ["--tasks", "none"], "tasks = 'none'"),
        (exact_inference, ["--prompts", "0"], "prompts = '0'"),
        (exact_inference, ["--rounds", "0"], "rounds = '0'"),
        (exact_inference, ["--limit", "nan"], "limit = 'nan'"),
        (exactness, ["--longest", "11"], "longest = 11"),
        (exactness, ["--digits", "17"], "17"),
        (road, ["--minutes", "-1"], "minutes = '-1'"),
        (road, ["--arms", "fastest"], "fastest"),
        (time_to_result, ["--seconds", "nan"], "seconds = 'nan'"),
        (memory, ["demo", "dmo"], "PRESET = 'dmo'"),
        (overhead, ["15"], "RUNS = 15"),
        (overhead, ["10"], "RUNS = 10"),
        (overhead, ["many"], "RUNS = 'many'"),
        (overhead, ["20", "10000000"], "RUNS = 10000000"),
    ],
)
def test_wrong_arguments_are_one_line(capsys, command, arguments, fault):
    assert process.run("bench", lambda: command.main(arguments)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert fault in printed.err


def test_each_stage_is_measured_in_a_process_of_its_own_then_all_in_one(monkeypatch):
    asked = []

    def run(command, **options):
        asked.append(command[3:])
        assert options["env"]["JAX_ENABLE_COMPILATION_CACHE"] == "false"
        return SimpleNamespace(returncode=0, stdout="[100.4, 200.0, 300.6]\n")

    monkeypatch.setattr(subprocess, "run", run)
    rows = list(memory.rows("demo"))
    stages = ["pretrain", "scratch", "finetune", "probe"]
    assert rows == [["demo", part, "100", "200", "301"] for part in (*stages, ", ".join(stages))]
    assert [command[2:-2] for command in asked] == [[stage] for stage in stages] + [stages]
    *alone, together = [command[-1] for command in asked]
    assert len(set(alone)) == 1, "a stage finds its parents"
    assert together not in alone, "nothing is finished before"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=-9, stdout=""))
    with pytest.raises(UserError, match="demo, pretrain: its process ended with exit code -9"):
        next(iter(memory.rows("demo")))


def test_a_stage_is_measured_before_it_at_its_first_report_and_after(monkeypatch):
    done = []

    def train_stage(trained, stage, report):
        for step in range(3):
            done.append((stage, step))
            report(step)

    def probe(trained, report):
        for case in range(5):
            done.append(("probe", case))
            report(case, 5)

    monkeypatch.setattr(memory, "peak", lambda: float(len(done)))
    monkeypatch.setattr(memory, "Trained", SimpleNamespace(of=lambda config, runs: None))
    monkeypatch.setattr(memory, "train_stage", train_stage)
    monkeypatch.setattr(memory, "probe", probe)
    assert memory.measured(TINY, ["pretrain", "probe"], Path("runs")) == [0.0, 1.0, 5.0]
    assert done[-2:] == [("probe", 0), ("probe", 1)], "one way to show prompts is enough"


def test_the_peak_is_that_which_the_system_counts(monkeypatch, tmp_path):
    told = tmp_path / "status"
    told.write_text("VmPeak:\t  999999 kB\nVmHWM:\t    2560 kB\nVmRSS:\t    1024 kB\n")
    monkeypatch.setattr(memory, "STATUS", told)
    assert memory.peak() == 2.5
    told.unlink()
    assert 10 < memory.peak() < 1e5


@pytest.mark.slow
def test_the_stages_of_a_preset_are_measured(capsys):
    memory.main(["smoke"])
    records = cells(capsys.readouterr().out)[2:]
    sizes = [[float(size) for size in record[2:]] for record in records]
    assert [record[1] for record in records] == [", ".join(part) for part in memory.PARTS]
    assert all(50 < imported < first <= most < 5000 for imported, first, most in sizes)
