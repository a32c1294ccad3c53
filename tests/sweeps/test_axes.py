"""A sweep as data: lists and ranges, product and zip, one form of every value; wrong ones refused by name."""

from pathlib import Path

import pytest

import implicit_inference as ii
from implicit_inference import api
from implicit_inference.cli import main
from implicit_inference.config.changes import PRESETS, override, to_toml
from implicit_inference.sweeps.axes import MOST_RUNS, Sweep, read

SMOKE = PRESETS["smoke"]


def values(path, given):
    (axis,) = Sweep.of(SMOKE, {path: given}).axes
    return [value for (value,) in axis.values]


def test_ranges_are_linear_or_log_by_number_or_step_and_hold_both_ends():
    rate = "finetune.learning_rate"
    assert values("finetune.replay", {"start": 0, "stop": 0.3, "num": 4}) == [0.0, 0.1, 0.2, 0.3]
    assert values("finetune.replay", {"start": 0, "stop": 0.3, "step": 0.1}) == [0.0, 0.1, 0.2, 0.3]
    assert values("finetune.replay", {"start": 0, "stop": 0.35, "step": 0.1}) == [0.0, 0.1, 0.2, 0.3]
    assert values("finetune.replay", {"start": 0.5, "stop": 0.1, "num": 3}) == [0.5, 0.3, 0.1]
    assert values(rate, {"start": 1e-4, "stop": 1e-2, "num": 3, "scale": "log"}) == [1e-4, 1e-3, 1e-2]
    assert values(rate, {"start": 1e-4, "stop": 5e-2, "step": 10, "scale": "log"}) == [1e-4, 1e-3, 1e-2]
    assert values("tasks.n_discrete", {"start": 2, "stop": 16, "step": 2, "scale": "log"}) == [2, 4, 8, 16]
    found = values("tasks.n_discrete", {"start": 4, "stop": 64, "num": 3, "scale": "log"})
    assert found == [4, 16, 64]
    assert all(isinstance(value, int) for value in found)
    assert values("finetune.replay", {"start": 0.5, "stop": 0.5, "step": 1}) == [0.5]


def test_product_combines_and_zip_goes_side_by_side():
    sweep = Sweep.of(
        SMOKE, {"finetune": {"replay": [0, 0.5]}}, {"tasks.n_discrete": [2, 4], "finetune.steps": [30, 40]}
    )
    assert sweep.paths == ("finetune.replay", "tasks.n_discrete", "finetune.steps")
    assert [tuple(variant.values()) for variant in sweep.variants()] == [
        (0.0, 2, 30),
        (0.0, 4, 40),
        (0.5, 2, 30),
        (0.5, 4, 40),
    ]
    assert [(c.finetune.replay, c.tasks.n_discrete, c.finetune.steps) for c in sweep.configs()] == [
        tuple(variant.values()) for variant in sweep.variants()
    ]


@pytest.mark.parametrize(
    ("axes", "zipped", "words"),
    [
        ({"tasks.dim": {"start": 1}}, {}, ["tasks.dim", "start, stop, and num or step"]),
        ({"tasks.dim": {"start": 1, "stop": 3, "num": 2, "step": 1}}, {}, ["num or step"]),
        ({"tasks.dim": {"start": 1, "stop": 3, "num": 1}}, {}, ["num as a whole number >= 2"]),
        ({"tasks.dim": {"start": 1, "stop": 3, "num": True}}, {}, ["num as a whole number >= 2"]),
        ({"tasks.dim": {"start": 1, "stop": 3, "num": 2, "by": 1}}, {}, ["no by"]),
        ({"tasks.dim": {"start": 1, "stop": 3, "num": 2, "scale": "cubic"}}, {}, ["'linear' or 'log'"]),
        ({"tasks.dim": {"start": 0, "stop": 3, "num": 2, "scale": "log"}}, {}, ["start > 0"]),
        ({"tasks.dim": {"start": 3, "stop": 1, "step": 1}}, {}, ["start <= stop"]),
        ({"tasks.dim": {"start": 1, "stop": 3, "step": 0}}, {}, ["step > 0"]),
        ({"tasks.dim": {"start": 1, "stop": 3, "step": 1, "scale": "log"}}, {}, ["step > 1"]),
        ({"tasks.dim": {"start": 1, "stop": 3, "step": 1e-9}}, {}, ["at most 1000000 values"]),
        ({"tasks.dim": {"start": 1, "stop": float("nan"), "num": 2}}, {}, ["stop as a number"]),
        ({"tasks.dim": {"start": 1, "stop": 10**400, "num": 2}}, {}, ["stop as a number"]),
        ({"tasks.dim": {"start": 1, "stop": 3, "num": 9}}, {}, ["tasks.dim", "each once"]),
        ({"tasks.dim": {"start": 0, "stop": 3, "num": 4}}, {}, ["tasks.dim = 0", ">= 1"]),
        ({"tasks.dims": {"start": 0, "stop": 3, "num": 4}}, {}, ["tasks.dims", "did you mean"]),
        ({"tasks.dims": 3}, {}, ["tasks.dims = 3", "did you mean"]),
        ({"seeds": {"start": 0, "stop": 3, "num": 4}}, {}, ["seeds = 0", "a list"]),
        ({"finetune.replay": [0, 0.0]}, {}, ["finetune.replay", "each once"]),
        ({}, {"tasks.dim": [1, 2], "tasks.n_discrete": [1]}, ["tasks.n_discrete = [1]", "as many values as tasks.dim"]),
        ({}, {"tasks.dim": [1, 1], "tasks.n_discrete": [2, 2]}, ["tasks.dim", "each once"]),
        ({"tasks.dim": [1, 2]}, {"tasks.dim": [1, 2]}, ["tasks.dim", "given twice"]),
        ({"tasks": {"dim": [1]}, "tasks.dim": [2]}, {}, ["tasks.dim", "given twice"]),
        ({"model.heads": [1, 3]}, {}, ["model.heads = 3", "a divisor"]),
        ({"world": ["language"]}, {}, ["world = 'language'"]),
        ({path: [*range(1, 102)] for path in ("tasks.dim", "tasks.n_discrete", "seeds")}, {}, ["seeds = 1"]),
        ({"tasks.dim": [*range(1, 1002)], "tasks.n_discrete": [*range(1, 1002)]}, {}, [f"at most {MOST_RUNS}"]),
    ],
)
def test_wrong_axes_are_refused_in_one_line(axes, zipped, words):
    with pytest.raises(ii.ConfigError) as caught:
        Sweep.of(SMOKE, axes, zipped)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_zip_may_repeat_the_values_of_one_field():
    assert len([*Sweep.of(SMOKE, None, {"tasks.dim": [1, 1], "tasks.n_discrete": [2, 3]}).configs()]) == 2


FILE = """
preset = "smoke"
seeds = [3, 4]
stages = ["finetune"]
measure = "training"
[changes]
tasks.dim = 3
[product]
finetune.replay = [0.0, 0.5]
"pretrain.steps" = {start = 60, stop = 80, num = 2}
[zip]
tasks.n_discrete = [2, 4]
finetune.steps = [30, 40]
"""


def test_a_file_says_all_and_is_written_back_as_files_that_say_the_same(tmp_path):
    (tmp_path / "sweep.toml").write_text(FILE)
    sweep = api.sweep_of(str(tmp_path / "sweep.toml"))
    assert sweep.start == override(SMOKE, {"seeds": [3, 4], "tasks.dim": 3})
    assert (sweep.stages, sweep.measure) == (("finetune",), "training")
    assert sweep.paths == ("finetune.replay", "pretrain.steps", "tasks.n_discrete", "finetune.steps")
    (tmp_path / "kept").mkdir()
    for name, text in sweep.files().items():
        (tmp_path / "kept" / name).write_text(text)
    again = api.sweep_of(tmp_path / "kept" / "sweep.toml")
    assert again == sweep
    assert again.id == sweep.id
    (tmp_path / "sweep.toml").write_text(FILE.replace("0.5]", "0.25]"))
    assert api.sweep_of(tmp_path / "sweep.toml").id != sweep.id


def test_a_config_lies_where_the_file_says(tmp_path):
    (tmp_path / "start.toml").write_text(to_toml(PRESETS["language-demo"]))
    (tmp_path / "sweep.toml").write_text('config = "start.toml"\n[product]\nfinetune.steps = [30, 40]\n')
    assert api.sweep_of(tmp_path / "sweep.toml").start == PRESETS["language-demo"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prodct = 3", ["prodct = 3", "no such key", "product"]),
        ('preset = "huge"', ["preset = 'huge'", "smoke"]),
        ('preset = "smoke"\nconfig = "x.toml"', ["config = 'x.toml'", "one start"]),
        ("config = 3", ["config = 3", "FILE.toml"]),
        ('config = "missing.toml"', ["missing.toml", "cannot be read"]),
        ("product = 3", ["product = 3", "a table of fields"]),
        ("zip = [1]", ["zip = [1]", "a table of fields"]),
        ("changes = 3", ["changes = 3", "a table of fields"]),
        ('stages = ["dance"]', ["stages = ['dance']", "pretrain, scratch, finetune"]),
        ("stages = [[1]]", ["stages = [[1]]"]),
        ("stages = []", ["stages = []"]),
        ('measure = "all"', ["measure = 'all'", "probe, summary, training"]),
        ('stages = ["pretrain"]\nmeasure = "probe"', ["measure = 'probe'", "training", "need the stage probe"]),
        ("[changes]\ntasks.dims = 3", ["tasks.dims = 3", "did you mean"]),
        ("seeds = [1]\n[changes]\nseeds = [2]", ["seeds", "given twice"]),
        ("seeds = [1]\n[product]\nseeds = [[2], [3]]", ["seeds", "given twice"]),
        ("[changes]\ntasks.dim = 2\n[zip]\ntasks.dim = [2, 3]", ["tasks.dim", "given twice"]),
        ("[product]\ntasks.dim = [2, 0]", ["tasks.dim = 0", ">= 1"]),
        ("[product]\npretrain.steps = [40, 1]", ["pretrain.warmup", "less than pretrain.steps"]),
        ("[product]\nmodel.width = [32768]\nmodel.layers = [1024]", ["GiB of memory"]),
        ("x", ["not TOML"]),
    ],
)
def test_wrong_files_are_refused_by_name_before_anything_starts(text, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("implicit_inference.sweeps.perform.make", lambda path, called: pytest.fail("it starts"))
    (tmp_path / "sweep.toml").write_text(text)
    assert main(["sweep", "sweep.toml"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    for word in words:
        assert word in captured.err
    with pytest.raises(ii.ConfigError):
        ii.sweep("sweep.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.toml"]


@pytest.mark.parametrize("on", ["", "cloud", "local:", "local:0", "local:x", "local:99999", "ray:", "slurm:x", 3])
def test_wrong_engines_are_refused_before_anything_starts(on, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ii.ConfigError, match=r"on = .*allowed: (local\[:PROCESSES\], ray|at most)"):
        ii.sweep("smoke", {"tasks.dim": [2]}, on=on)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [{"changes": {}}, {"seeds": [1]}, {"stages": ["pretrain"]}, {"measure": "training"}, {"source": "smoke"}],
)
def test_a_file_takes_nothing_beside_it(arguments, tmp_path):
    (tmp_path / "sweep.toml").write_text('preset = "smoke"')
    with pytest.raises(ii.ConfigError, match=r"axes|where the file"):
        ii.sweep(**{"source": tmp_path / "sweep.toml", "runs": tmp_path} | arguments)
    assert read(tmp_path / "sweep.toml") == {"preset": "smoke"}


def test_the_example_in_the_documents_is_a_sweep(tmp_path):
    text = (Path(__file__).parent.parent.parent / "docs" / "sweeps.md").read_text()
    (tmp_path / "sweep.toml").write_text(text.split("```toml\n")[1].split("```")[0])
    sweep = api.sweep_of(tmp_path / "sweep.toml")
    assert [len(axis.values) for axis in sweep.axes] == [2, 3, 3]
    assert len([*sweep.configs()]) == 18
    assert (sweep.stages, sweep.measure, sweep.start.seeds) == (("probe",), "summary", (0, 1))
