"""Files whose digests are right and whose shape is another one: one line that names the file, never a traceback."""

import hashlib
import json
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up import CONFIG, probe_run

from implicit_inference.cli import main
from implicit_inference.config.changes import override
from implicit_inference.measure.summary import summary_of
from implicit_inference.runs import store
from implicit_inference.runs.store import Run, StoreError
from implicit_inference.show import plots, side_by_side
from implicit_inference.show.report import content_of
from implicit_inference.training.checkpoints import kept_losses


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return probe_run(tmp_path_factory.mktemp("work") / "runs")


@pytest.fixture
def sealed(probe):
    """Replaces files of runs with their digests, until the test is over."""
    before = {path: path.read_bytes() for path in probe.directory.parent.rglob("*") if path.is_file()}

    def replace(run, name, content):
        run.path(name).write_bytes(content)
        info = run.info()
        info["files"][name] = hashlib.sha256(content).hexdigest()
        run.path("run.json").write_text(json.dumps(info))

    yield replace
    for path, content in before.items():
        path.write_bytes(content)


def as_table(records):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(records), sink)
    return sink.getvalue().to_pybytes()


def refused(read, run, name):
    with pytest.raises(StoreError) as error:
        read()
    message = str(error.value)
    assert message.isprintable()
    assert message.startswith(f"{run.path(name)}: ")
    return message


def places(value, path=()):
    """The path of every part of nested dicts and lists."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from places(part, (*path, key))


def changed(content, path, change):
    """A copy of nested dicts and lists in which `change` was made to what holds the last of the keys."""
    copy = json.loads(json.dumps(content))
    place = copy
    for key in path[:-1]:
        place = place[key]
    change(place, path[-1])
    return copy


def test_every_part_of_a_summary_must_be_there_and_be_of_its_kind(probe, sealed):
    result = probe.read_json("result.json")
    every = [path for path in places(result["summary"]) if len(path) > 1]
    chosen = [every[i] for i in np.linspace(0, len(every) - 1, 12).astype(int)]
    changes = [(path, lambda place, key: place.pop(key)) for path in chosen]
    summary = result["summary"]
    texts = [path for path in chosen if not isinstance(reduce(lambda place, key: place[key], path, summary), str)]
    changes += [(path, lambda place, key: place.__setitem__(key, "text")) for path in texts[1:-1:4]]
    changes += [(("loss", "gaussian", "stranger"), lambda place, key: place.__setitem__(key, {"mean": 1.0}))]
    for path, change in changes:
        summary = changed(result["summary"], path, change)
        if summary == result["summary"]:
            continue
        sealed(probe, "result.json", json.dumps(result | {"summary": summary}).encode())
        assert "summary." in refused(lambda: summary_of(probe), probe, "result.json"), path


@pytest.mark.parametrize("content", [[], {}, {"summary": None}, {"summary": []}, 3, None])
def test_a_result_without_a_summary_is_one_line(probe, sealed, content):
    sealed(probe, "result.json", json.dumps(content).encode())
    assert "holds no summary" in refused(lambda: summary_of(probe), probe, "result.json")


@pytest.mark.parametrize("text", [b"[1e999]", b"[NaN]", b"[-Infinity]", b"\xff", b"[" * 100_000, b"[" + b"1" * 5000])
def test_json_that_python_would_take_or_choke_on_is_refused(probe, sealed, text):
    sealed(probe, "result.json", text)
    refused(lambda: probe.read_json("result.json"), probe, "result.json")


NO_ROW = "no row"
TABLES = {
    "no rows": lambda record: NO_ROW,
    "a column is missing": lambda record: {name: value for name, value in record.items() if name != "mean"},
    "a column is text": lambda record: record | {"mean": "much"},
    "a seed is another": lambda record: record | {"seed": record["seed"] + 1},
    "a predictor is missing": lambda record: NO_ROW if record["predictor"] in ("finetuned", "network") else record,
    "not finite": lambda record: record | {"mean": np.nan},
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_of_another_shape_is_one_line(probe, sealed, case):
    records = [record for record in map(TABLES[case], probe.read_table("table.parquet")) if record != NO_ROW]
    sealed(probe, "table.parquet", as_table(records))
    refused(lambda: summary_of(probe), probe, "table.parquet")
    refused(lambda: plots.drawn(probe, ()), probe, "table.parquet")
    refused(lambda: content_of(probe), probe, "table.parquet")


@pytest.mark.parametrize("case", [case for case in TABLES if case != "a seed is another"])
def test_losses_while_training_of_another_shape_are_one_line(probe, sealed, case):
    trained = probe.parents()[1]
    records = [record for record in map(TABLES[case], trained.read_table("training.parquet")) if record != NO_ROW]
    sealed(trained, "training.parquet", as_table(records))
    refused(lambda: plots.drawn(probe, ()), trained, "training.parquet")


@pytest.mark.parametrize("key", ["git_commit", "versions", "python", "devices", "wall_seconds", "resumed"])
def test_an_environment_of_another_shape_is_one_line(probe, sealed, key):
    trained = probe.parents()[2]
    found = trained.read_json("env.json")
    shapes = [{name: value for name, value in found.items() if name != key}, [], None]
    shapes += [found | {key: []}] if key in ("versions", "wall_seconds") else []
    for shape in shapes:
        sealed(trained, "env.json", json.dumps(shape).encode())
        refused(lambda: side_by_side.provenance([probe]), trained, "env.json")


def test_an_unknown_field_of_a_stored_configuration_is_named_with_its_file(probe, sealed):
    sealed(probe, "config.toml", probe.read("config.toml") + b"\n[model2]\nwings = 2\n")
    assert "wings" in refused(probe.config, probe, "config.toml")


def test_the_parents_are_exactly_those_of_the_configuration(probe, sealed):
    info = probe.info()
    parents = info["parents"]
    for wrong in ([], parents[:2], parents[::-1], [*parents, parents[0]], [*parents[:2], "scratch-0123456789"]):
        probe.path("run.json").write_text(json.dumps(info | {"parents": wrong}))
        assert "are not those of its configuration" in refused(probe.config, probe, "run.json")


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        ("pretrain", ["checkpoint-abc.safetensors"]),
        ("pretrain", ["checkpoint-.parquet"]),
        ("pretrain", ["checkpoint-5.safetensors", "checkpoint-6.parquet"]),
        ("pretrain", [f"checkpoint-{'9' * 5000}.parquet"]),
        ("probe", ["checkpoint-5.safetensors"]),
    ],
)
def test_a_checkpoint_that_no_run_has_is_one_line(tmp_path, stage, names):
    run = Run(tmp_path / f"{stage}-0123456789")
    run.directory.mkdir()
    info = {"format": store.FORMAT, "stage": stage, "parents": [], "finished": False}
    run.path("run.json").write_text(json.dumps(info | {"files": dict.fromkeys(names, "0" * 64)}))
    for read in (run.info, lambda: run.checkpoint, lambda: store.find(tmp_path, run.id, unfinished=True)):
        assert "checkpoint" in refused(read, run, "run.json")


def test_losses_that_are_not_those_of_the_checkpoint_are_not_gone_on_with(probe, sealed):
    trained = probe.parents()[0]
    records = trained.read_table("training.parquet")
    for step, table in (
        (9, records),
        (41, records),
        (10, [{"step": 10}]),
        (10, [record | {"mean": "much"} for record in records]),
    ):
        info = trained.info() | {"finished": False}
        files = {"config.toml": info["files"]["config.toml"], f"checkpoint-{step}.parquet": "0" * 64}
        trained.path("run.json").write_text(json.dumps(info | {"files": files}))
        sealed(trained, f"checkpoint-{step}.parquet", as_table(table))
        refused(lambda step=step: kept_losses(trained, step, 40), trained, f"checkpoint-{step}.parquet")
        assert trained.checkpoint == step
        trained.path(f"checkpoint-{step}.parquet").unlink()


def test_a_probe_of_another_shape_is_left_out_of_the_page_of_the_others(probe, sealed, tmp_path, capsys):
    runs = probe.directory.parent
    sealed(probe, "env.json", b"[]")
    assert main(["report", f"--runs={runs}", f"--out={tmp_path / 'page.html'}"]) == 2
    other = probe_run(runs, override(CONFIG, {"probe.prompts": 7}))
    loop = runs / "probe-ffffffffff"
    loop.mkdir()
    (loop / "run.json").symlink_to("run.json")  # a file that nobody can open
    capsys.readouterr()
    assert main(["report", f"--runs={runs}", f"--out={tmp_path / 'page.html'}"]) == 0
    err = capsys.readouterr().err
    assert err.count("\n") == 2
    assert f"left out: {probe.path('env.json')}" in err
    assert f"left out: {loop / 'run.json'}: cannot be read" in err
    assert other.id in (tmp_path / "page.html").read_text()
