"""The commands of the bench, in miniature."""

import csv

import jax.numpy as jnp
import numpy as np
import pytest
from made_up import TINY

from implicit_inference.bench import exact_inference, exactness, methods, time_to_result
from implicit_inference.config.changes import override
from implicit_inference.regression.predictive import posterior_predictive


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
