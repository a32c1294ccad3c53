"""The Python API: typed names that load lazily; runs that are made, found, opened and swept over."""

import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from made_up import CONFIG, TINY, agree_with_the_table, probe_run

import implicit_inference as ii
from implicit_inference import api
from implicit_inference.config.changes import PRESETS, override, to_toml
from implicit_inference.config.identity import run_id
from implicit_inference.show import plots, report

ROOT = Path(__file__).parent.parent


def test_the_import_is_instant_and_takes_nothing_slow():
    code = (
        "import sys, time; began = time.process_time(); import implicit_inference\n"
        "took = time.process_time() - began\n"
        "slow = {'jax', 'numpy', 'pandas', 'matplotlib', 'implicit_inference.api'} & set(sys.modules)\n"
        "sys.exit(f'{slow} in {took} s' if slow or took > 0.05 else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_names_are_listed_once_and_no_others_are_there():
    stub = (ROOT / "implicit_inference" / "__init__.pyi").read_text()
    assert sorted(stub.count(f" as {name}\n") for name in ii.__all__) == [1] * len(ii.__all__)
    assert dir(ii) == ii.__all__ == sorted(ii.__all__)
    assert {"run", "load", "sweep", "Probe", "Config", "ConfigError", "posterior_predictive"} <= set(ii.__all__)
    with pytest.raises(AttributeError, match="posterior_predictiv"):
        _ = ii.posterior_predictiv
    with pytest.raises(ImportError):
        exec("from implicit_inference import posterior_predictiv")


USER = """
import implicit_inference as ii
run = ii.run("demo", {"tasks.n_discrete": 8}, seeds=(0, 1))
reveal_type(run)
reveal_type(run.predictor("finetuned"))
reveal_type(ii.ScaleLabels(2.0))
ii.run("demo", sedes=(0, 1))
ii.load(3)
ii.nothing
"""


def test_a_type_checker_sees_types_and_refuses_wrong_calls(tmp_path):
    (tmp_path / "user.py").write_text(USER)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(ROOT / ".mypy_cache"), str(tmp_path / "user.py")]
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    lines = [line.split(":", 1)[1] for line in done.stdout.splitlines() if ".py:" in line and "defined in" not in line]
    expected = [
        '4: note: Revealed type is "implicit_inference.finished.Probe"',
        '5: note: Revealed type is "def (Any) -> jax._src.basearray.Array"',
        '6: note: Revealed type is "implicit_inference.regression.conjugations.ScaleLabels"',
        '7: error: Unexpected keyword argument "sedes" for "run"; did you mean "seeds"?  [call-arg]',
        '8: error: Argument 1 to "load" has incompatible type "int"; expected "str"  [arg-type]',
        '9: error: Module has no attribute "nothing"  [attr-defined]',
    ]
    assert lines == expected, done.stdout + done.stderr
    assert (ROOT / "implicit_inference" / "py.typed").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"source": "dmo"}, ["source = 'dmo'", "smoke, demo, paper", ".toml"]),
        ({"source": 3}, ["source = 3"]),
        ({"source": "my.toml"}, ["my.toml", "cannot be read"]),
        ({"source": Path()}, ["cannot be read"]),
        ({"source": replace(PRESETS["smoke"], world="moon")}, ["world = 'moon'", "regression"]),
        ({"source": replace(PRESETS["smoke"], seeds=(1, 1))}, ["seeds = [1, 1]", "each once"]),
        ({"changes": ["tasks.dim"]}, ["changes = ['tasks.dim']", "a mapping of fields"]),
        ({"changes": {"tasks.dims": 3}}, ["tasks.dims = 3", "did you mean tasks.dim?"]),
        ({"changes": {"tasks": {"dim": 0}}}, ["tasks.dim = 0", ">= 1"]),
        ({"changes": {"tasks.dim": 3, "tasks": {"dim": 4}}}, ["tasks.dim", "twice"]),
        ({"changes": {"seeds": [1]}, "seeds": [2]}, ["seeds", "twice"]),
        ({"seeds": 3}, ["seeds = 3", "a list of whole numbers"]),
        ({"seeds": ()}, ["seeds = []", "at least one"]),
        ({"changes": {"probe.stage": "pretrain"}}, ["probe.stage = 'pretrain'", "finetune, student, steer"]),
    ],
)
def test_mistakes_are_told_in_one_line_before_anything_is_made(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in (ii.run, lambda source="demo", changes=None, seeds=None: ii.sweep(source, {}, changes, seeds=seeds)):
        with pytest.raises(ii.ConfigError) as caught:
            call(**arguments)
        assert "\n" not in str(caught.value)
        for word in words:
            assert word in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (["tasks.dim"], ["axes = ['tasks.dim']", "a mapping of fields"]),
        ({"tasks.dims": [3]}, ["tasks.dims = 3", "did you mean"]),
        ({"tasks.dim": [2, 0]}, ["tasks.dim = 0", ">= 1"]),
        ({"tasks.dim": []}, ["tasks.dim = []", "at least one value"]),
        ({"tasks.dim": [2, 2]}, ["tasks.dim = [2, 2]", "each once"]),
        ({"tasks.dim": 2}, ["tasks.dim = 2", "a list"]),
        ({"pretrain.optimizer": "adam"}, ["pretrain.optimizer = 'adam'", "a list"]),
    ],
)
def test_wrong_axes_are_told_before_anything_is_trained(axes, words, tmp_path):
    with pytest.raises(ii.ConfigError) as caught:
        ii.sweep("smoke", axes, runs=tmp_path / "runs")
    for word in words:
        assert word in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").touch()
    for call in (lambda runs: ii.run("smoke", runs=runs), lambda runs: ii.sweep("smoke", {}, runs=runs)):
        with pytest.raises(ii.UserError, match=r"runs '.*file': File exists; allowed: a directory"):
            call(tmp_path / "file")


def test_a_preset_a_file_and_a_configuration_say_the_same_thing(tmp_path):
    changes = {"tasks.n_discrete": 8, "probe": {"prompts": 10}}
    expected = override(PRESETS["demo"], changes | {"seeds": [0, 1]})
    file = tmp_path / "changes.toml"
    file.write_text("[tasks]\nn_discrete = 8\n[probe]\nprompts = 10\n")
    whole = tmp_path / "whole.toml"
    whole.write_text(to_toml(expected))
    for source, given, seeds in (
        ("demo", changes, range(2)),
        ("demo", changes | {"seeds": (0, 1)}, None),
        (file, None, np.arange(2)),
        (str(file), {"probe.prompts": 10}, iter([0, 1])),
        (PRESETS["demo"], changes, [0, 1]),
        (expected, None, None),
        (str(whole), None, None),
    ):
        assert api.configured(source, given, seeds) == expected


def test_the_stages_that_train_are_those_that_the_probe_rests_on():
    def stages(**probed):
        return api.stages_of(override(TINY, probed))

    assert stages() == ("pretrain", "scratch", "finetune")
    assert stages(probe={"stage": "student"}) == ("pretrain", "scratch", "finetune", "student")
    assert stages(probe={"stage": "student"}, lesson={"teacher": "truth"}) == ("pretrain", "scratch", "student")
    assert stages(probe={"stage": "steer"}) == ("pretrain", "scratch", "tune", "steer")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A directory with the finished probes of CONFIG and of two more sets of tasks; nothing was trained."""
    runs = tmp_path_factory.mktemp("work") / "runs"
    for config in (CONFIG, *(override(CONFIG, {"tasks.n_discrete": n}) for n in (2, 8))):
        probe_run(runs, config)
    assert CONFIG.tasks.n_discrete == 4
    return runs


@pytest.fixture
def untrained(monkeypatch):
    """Nothing is trained, and JAX is not started, by what uses this."""

    def refuse(*arguments):
        raise AssertionError(f"would train {arguments}")

    monkeypatch.setattr(api, "prepared", refuse)


def test_what_is_finished_is_found_without_jax(runs, tmp_path):
    (tmp_path / "config.toml").write_text(to_toml(CONFIG))
    code = (
        "import sys, implicit_inference as ii\n"
        f"run = ii.run('config.toml', runs={str(runs)!r})\n"
        f"assert run == ii.load(run.id, {str(runs)!r}) and len(run.table)\n"
        "sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_a_finished_run_is_found_and_opened(runs, untrained):
    run = ii.run(CONFIG, runs=runs)
    assert run.id == run_id("probe", CONFIG)
    assert run.directory == runs / run.id
    assert run == ii.load(run.id, runs) == ii.load(run.id[:-2], str(runs))
    assert ii.run(run.config, runs=runs) == run
    assert run.config == CONFIG
    records = run._run.read_table("table.parquet")
    pd.testing.assert_frame_equal(run.table, pd.DataFrame(records))
    assert run.summary == run._run.read_json("result.json")["summary"]
    with pytest.raises(AttributeError):
        run.directory = runs


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("probe-", ["names more than one run", "allowed: probe-"]),
        ("pretrain-", ["no such probe run"]),
        ("nothing", ["no such probe run"]),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_line(prefix, words, runs):
    with pytest.raises(ii.StoreError) as caught:
        ii.load(prefix, runs)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    with pytest.raises(ii.StoreError, match="is not a probe run"):
        ii.load(run_id("pretrain", CONFIG), runs)
    with pytest.raises(ii.StoreError, match="no such probe run"):
        ii.load("probe-", runs / "nowhere")
    with pytest.raises(ii.ConfigError, match=r"id = .*: allowed: the id of a finished probe"):
        ii.load(runs / run_id("probe", CONFIG))


def test_what_a_probe_does_not_have_is_told_in_one_line(runs):
    run = ii.load(run_id("probe", CONFIG), runs)
    for call, words in (
        (
            lambda: run.predictor("finetund"),
            "predictor = 'finetund': allowed: pretrained, finetuned, scratch, damaged_",
        ),
        (lambda: run.predictor("oracle"), "predictor = 'oracle'"),
        (lambda: run.predictor("ridge", seed=4), r"seed = 4: allowed: 3, 5, 8"),
        (lambda: run.held_out("gauss"), "family = 'gauss': allowed: discrete, gaussian"),
        (lambda: run.held_out("gaussian", seed=0), "seed = 0"),
    ):
        with pytest.raises(ii.ConfigError, match=words):
            call()
    with pytest.raises(ii.StoreError, match=r"params\.safetensors: there is no such file in this run"):
        run.predictor("finetuned")


def test_exact_predictors_are_those_of_the_library(runs):
    run, noise = ii.load(run_id("probe", CONFIG), runs), CONFIG.tasks.noise_std
    batch = run.held_out("gaussian", seed=5)
    assert batch.prompts.ys.shape == (CONFIG.probe.prompts, CONFIG.prompts.length)
    ridge = ii.bayes_predictor(ii.GaussianTasks(jnp.zeros(CONFIG.tasks.dim), CONFIG.tasks.prior_std), noise)
    np.testing.assert_allclose(run.predictor("ridge", 5)(batch.prompts), ridge(batch.prompts), rtol=1e-6)
    names = ("bayes_effective_finetuned", "discrete_posterior")
    mixed, discrete = (run.predictor(name, 5)(batch.prompts) for name in names)
    gates = ((mixed - ridge(batch.prompts)) / (discrete - ridge(batch.prompts)))[:, 0]
    assert float(jnp.median(gates)) == pytest.approx(1 / (1 + np.exp(-1.5)), rel=1e-3)  # the odds of the made-up table
    other = run.predictor("discrete_posterior", 8)(batch.prompts)
    assert float(jnp.abs(other - discrete).max()) > 0.1


def test_figures_and_the_page_go_where_they_are_asked_for(runs, tmp_path, monkeypatch):
    drawn = {f"{name}.{kind}": b"<svg></svg>" for name in report.CAPTIONS for kind in ("png", "svg")}
    monkeypatch.setattr(plots, "drawn", lambda run, kinds: drawn)
    run = ii.load(run_id("probe", CONFIG), runs)
    for folder in (str(tmp_path / "figures"), None):
        paths = run.figures(folder)
        assert [path.name for path in paths] == list(drawn)
        assert {path.parent for path in paths} == {Path(folder or run.directory / "figures")}
        assert paths[0].read_bytes() == b"<svg></svg>"
    assert run.report() == run.directory / "report.html"
    assert run.report(tmp_path / "page.html").read_text() == run.report().read_text()
    assert run.id in run.report().read_text()


def test_a_sweep_is_one_table_with_what_varied_as_columns(runs):
    axes = {"tasks.n_discrete": (2, 8), "seeds": [(3, 5, 8)]}
    table = ii.sweep(CONFIG, axes, runs=runs, progress=False)
    parts = [ii.run(CONFIG, {"tasks.n_discrete": n}, runs=runs).table for n in (2, 8)]
    joined = pd.concat(parts, ignore_index=True)
    assert list(table.columns) == [*axes, *joined.columns]
    pd.testing.assert_frame_equal(table.drop(columns=list(axes)), joined)
    assert table.groupby("tasks.n_discrete").size().to_dict() == {2: len(parts[0]), 8: len(parts[1])}
    assert set(table["seeds"]) == {(3, 5, 8)}


@pytest.mark.slow
@pytest.mark.parametrize("probed", ["finetune", "student", "steer"])
def test_a_run_trains_what_is_missing_and_its_predictors_are_those_of_its_table(probed, tmp_path):
    """In the default suite, the same is held of the run that `test_end_to_end` trains by the command line."""
    few = {"stage": probed, "prompts": 16, "label_scales": [2.0], "input_scales": [], "label_shifts": []}
    short = {"steps": 20, "warmup": 2}
    config = override(TINY, {"probe": few, "student": short, "tune": short, "steer": short})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("implicit_inference.measure.probe.measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ii.run(config, runs=tmp_path)
    run = ii.run(config, runs=tmp_path, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        run_id(stage, config) for stage in (*api.stages_of(config), "probe")
    )
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert ii.run(config, runs=tmp_path) == run
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    names = set(run.table["predictor"].dropna()) - {"oracle"}
    assert {"pretrained", "scratch", "ridge", {"finetune": "finetuned", "steer": "steered"}.get(probed, probed)} < names
    for name in names:
        agree_with_the_table(run, name)


def interrupted(*arguments):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("one_run", ["discrete_posterior", "forgetting: 1.000 ± 0.000"]),
        ("sweep", ["tasks.n_discrete", "8    1.0"]),
        ("task_posterior", ["P(task | discrete)", "0.25 0.25 0.25 0.25"]),
    ],
)
def test_examples_run(name, words, runs, tmp_path, monkeypatch, capsys):
    """Those of one run and of a sweep find finished ones."""
    (tmp_path / "config.toml").write_text(to_toml(CONFIG))
    (tmp_path / "runs").symlink_to(runs)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, "config.toml"])
    monkeypatch.setenv("MPLBACKEND", "Agg")
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    out = capsys.readouterr().out
    for word in words:
        assert word in out
    assert (tmp_path / "forgetting.png").exists() == (name == "sweep")


def test_every_example_is_run():
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == {
        *("one_run", "sweep", "task_posterior"),
        "language_model",  # in tests/lm
        "tour",  # in test_docs
    }
