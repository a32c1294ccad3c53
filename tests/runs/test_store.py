"""A run directory: what was written comes back, or one line says which file is not what was written."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from made_up import finished, probe_run
from safetensors.numpy import load_file, save_file

from implicit_inference.cli import main
from implicit_inference.config.changes import PRESETS, base, override
from implicit_inference.config.identity import run_id
from implicit_inference.runs import environment, files, hosts, store
from implicit_inference.runs.drafts import NotFiniteError, owned, tidy
from implicit_inference.runs.environment import environment as made_with
from implicit_inference.runs.store import Run, StoreError
from implicit_inference.training.checkpoints import kept_params, kept_steps

SMOKE = PRESETS["smoke"]
TREE = {"a": {"kernel": np.arange(6.0, dtype=np.float32).reshape(2, 3)}, "b": np.array([1, 2], np.int32)}
RECORDS = [{"step": s, "mean": 0.5} for s in range(100)]


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "runs" / run_id("pretrain", SMOKE))


@pytest.fixture
def draft(run):
    with owned(run) as draft:
        draft.begin(SMOKE, [])
        yield draft


def kept(draft, name="params.safetensors", tree=TREE):
    draft.write_tree(name, tree)
    draft.commit()
    return draft.run


def one_line(error):
    message = str(error.value)
    assert message.isprintable()
    return message


def test_trees_come_back_bit_equal_and_have_readable_names(draft):
    run = kept(draft)
    assert set(load_file(run.path("params.safetensors"))) == {"a/kernel", "b"}
    back = run.read_tree("params.safetensors", TREE)
    np.testing.assert_array_equal(back["a"]["kernel"], TREE["a"]["kernel"])
    np.testing.assert_array_equal(back["b"], TREE["b"])


def test_another_shape_type_or_set_of_arrays_is_named(draft):
    run = kept(draft)
    for like, name in (
        (TREE | {"a": {"kernel": jnp.zeros((3, 3))}}, "a/kernel"),
        (TREE | {"a": {"kernel": np.zeros((2, 3), np.float64)}}, "a/kernel"),
        (TREE | {"b": np.zeros(2, np.int64)}, "b is missing or is not int64"),
        (TREE | {"c": jnp.zeros(3)}, "c is missing"),
        ({"a": TREE["a"]}, "b does not belong"),
    ):
        with pytest.raises(StoreError, match=name):
            run.read_tree("params.safetensors", like)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nothing_that_is_kept_holds_a_number_that_is_none(draft, value):
    with pytest.raises(NotFiniteError, match="a holds"):
        draft.write_tree("params.safetensors", {"a": np.array([1.0, value])})
    with pytest.raises(NotFiniteError, match=r"mean = .*seed 3"):
        draft.write_table("table.parquet", [{"seed": 3, "mean": 1.0}, {"seed": 3, "mean": value}])
    with pytest.raises(NotFiniteError, match=r"mean = .*seed 3"):
        draft.write_table("table.parquet", [{"seed": 3, "mean": np.float32(value)}])
    with pytest.raises(NotFiniteError, match=r"result\.json"):
        draft.write_json("result.json", {"summary": {"mean": value}})
    assert {path.name for path in draft.run.directory.iterdir()} == {"config.toml", "run.json", "lock"}


def test_parameters_that_are_not_finite_are_not_read(draft):
    run = draft.run
    save_file({"a": np.array([np.nan], np.float32)}, run.path("params.safetensors"))
    draft.write("params.safetensors", run.path("params.safetensors").read_bytes())
    draft.commit()
    with pytest.raises(StoreError, match="not finite"):
        run.read_tree("params.safetensors", {"a": np.zeros(1, np.float32)})


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return probe_run(tmp_path_factory.mktemp("work") / "runs")


def readers(probe):
    """(file, what reads it) for every kind of stored file."""
    trained = probe.parents()[0]
    return [
        (trained, "config.toml", trained.config),
        (trained, "training.parquet", lambda: trained.read_table("training.parquet")),
        (trained, "env.json", lambda: trained.read_json("env.json")),
        (probe, "config.toml", probe.config),
        (probe, "table.parquet", lambda: probe.read_table("table.parquet")),
        (probe, "result.json", lambda: probe.read_json("result.json")),
    ]


def test_every_flipped_byte_is_seen(probe, draft):
    run = kept(draft)
    draft.write_table("checkpoint-7.parquet", RECORDS)
    trees = ("params.safetensors", "params-5.safetensors", "checkpoint-7.safetensors")
    for name in trees:
        kept(draft, name)
    cases = [*readers(probe), (run, "checkpoint-7.parquet", run.training)]
    cases += [(run, name, lambda name=name: run.read_tree(name, TREE)) for name in trees]
    for of, name, read in cases:
        path = of.path(name)
        content = path.read_bytes()
        read()
        for place in np.linspace(0, len(content) - 1, 12).astype(int):
            path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
            with pytest.raises(StoreError) as error:
                read()
            assert f"{name}: is damaged" in one_line(error)
        path.write_bytes(content)


def test_a_flipped_byte_of_run_json_never_passes_for_another_run(probe):
    path = probe.path("run.json")
    content, told = path.read_bytes(), []
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with contextlib.suppress(StoreError):
            probe.config()
            for name in probe.info()["files"]:
                probe.read(name)
            told.append(probe.info())
    path.write_bytes(content)
    assert all(info == json.loads(content) for info in told)


@pytest.mark.parametrize("left", [0, 4, 0.9])
def test_truncated_files_are_named_and_never_half_read(draft, left):
    draft.write_table("training.parquet", RECORDS)
    run = kept(draft)
    for name, read in (
        ("params.safetensors", lambda: run.read_tree("params.safetensors", TREE)),
        ("training.parquet", lambda: run.read_table("training.parquet")),
    ):
        content = run.path(name).read_bytes()
        run.path(name).write_bytes(content[: int(left * len(content)) if isinstance(left, float) else left])
        with pytest.raises(StoreError, match=rf"{name}.*damaged") as error:
            read()
        one_line(error)


def test_another_run_s_file_in_its_place_is_seen(tmp_path, draft):
    run = kept(draft)
    other = Run(tmp_path / "runs" / run_id("pretrain", override(SMOKE, {"seeds": [3]})))
    with owned(other) as second:
        second.begin(override(SMOKE, {"seeds": [3]}), [])
        kept(second, tree=TREE | {"b": np.array([3, 4], np.int32)})
    for name in ("params.safetensors", "config.toml"):
        run.path(name).write_bytes(other.path(name).read_bytes())
    with pytest.raises(StoreError, match="damaged"):
        run.read_tree("params.safetensors", TREE)
    with pytest.raises(StoreError, match="damaged"):
        run.config()
    run.path("run.json").write_bytes(other.path("run.json").read_bytes())
    with pytest.raises(StoreError, match="not the configuration of this run"):
        run.config()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 1}, "another version"),
        ({"format": "2"}, "another version"),
        ({"format": None}, "another version"),
        ({"stage": "dance"}, "stage 'dance'"),
        ({"stage": "probe"}, "stage 'probe'"),
        ({"parents": None}, "parents = None"),
        ({"parents": "pretrain-0123456789"}, "not the names of runs"),
        ({"parents": ["/etc"]}, "not the names of runs"),
        ({"parents": ["../../pretrain-0123456789"]}, "not the names of runs"),
        ({"parents": ["pretrain-0123456789"]}, "are not those of its configuration"),
        ({"finished": "false"}, "neither true nor false"),
        ({"finished": 1}, "neither true nor false"),
        ({"files": None}, "SHA-256"),
        ({"files": {"../x": "0" * 64}}, "SHA-256"),
        ({"files": {"x": "0"}}, "SHA-256"),
        ({"files": {"checkpoint-x.parquet": "0" * 64}}, "a checkpoint that no such run has"),
        ({"files": {"checkpoint-1.parquet": "0" * 64, "checkpoint-2.parquet": "0" * 64}}, "no such run has"),
        ({"more": 1}, "are expected"),
    ],
)
def test_a_run_json_of_another_shape_is_one_line(draft, change, words):
    run = draft.run
    info = run.info() | change
    run.path("run.json").write_text(json.dumps({name: value for name, value in info.items() if value != "gone"}))
    with pytest.raises(StoreError, match=r"run\.json") as error:
        run.config()
    assert words in one_line(error)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"format": NaN}', b"1" * 5000, b"null"])
def test_a_run_json_that_is_none_is_one_line(draft, text):
    draft.run.path("run.json").write_bytes(text)
    with pytest.raises(StoreError, match=r"run\.json"):
        draft.run.info()


def test_a_file_that_run_json_does_not_name_does_not_count(draft):
    draft.write_table("training.parquet", RECORDS)
    with pytest.raises(StoreError, match="no such file in this run"):
        draft.run.read_table("training.parquet")


class Killed(BaseException):
    """Stands for the end of the process: from here on nothing reaches the disk."""


CALLS = ("open", "replace", "fsync", "unlink", "ftruncate", "write")


def killed_at(monkeypatch, number):
    """Ends the process at the so-manieth call to the system that changes files; returns the count of calls."""
    count = [0]

    def counted(real):
        def call(*arguments, **options):
            count[0] += 1
            if count[0] > number:
                raise Killed
            return real(*arguments, **options)

        return call

    for name in CALLS:
        monkeypatch.setattr(files.os, name, counted(getattr(os, name)))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    return count


def train(run, stop):
    """A training that counts, by the calls of the real one; the losses of a step are kept by a resumed one alone."""
    if run.finished:
        tidy(run)
        return
    with hosts.writing(run) as writer:
        if run.finished:
            return
        step, state, records = run.checkpoint or 0, {"steps": np.zeros(1)}, []
        resumed = run.checkpoint is not None
        if resumed:
            state, records = run.read_tree(f"checkpoint-{step}.safetensors", state), run.training()
        else:
            writer.begin(SMOKE, [])
        assert state["steps"][0] == step
        assert len(records) - step in (0, 1)
        while True:
            records = [*records[:step], {"step": step}]
            writer.keep(kept_params(step), state)
            if step == stop:
                break
            writer.checkpoint(step, state, records if resumed else records[:-1])
            step, state = step + 1, {"steps": state["steps"] + 1}
        writer.finish(state, records, 0.0, resumed)


@pytest.mark.parametrize("earlier", [0, 62], ids=["begun", "resumed"])
def test_a_kill_at_any_point_of_the_protocol_loses_nothing(tmp_path, monkeypatch, earlier):
    """The process is killed at each of its calls in turn; `resumed`: after another was killed at its call `earlier`."""
    monkeypatch.setattr(hosts, "environment", lambda seconds, resumed: {"resumed": resumed})
    number, whole, reached = 0, None, 0
    while whole is None:
        run = Run(tmp_path / str(number) / run_id("pretrain", SMOKE))
        if earlier:
            with monkeypatch.context() as patched, contextlib.suppress(Killed):
                killed_at(patched, earlier)
                train(run, stop=2)
            assert run.checkpoint == 1
        with monkeypatch.context() as patched, contextlib.suppress(Killed):
            killed_at(patched, number)
            train(run, stop=2)
            whole = number
        for name in run.info()["files"] if run.begun else ():
            run.read(name)
        assert (run.checkpoint or 0) >= reached or run.finished, "what an earlier kill left, a later one leaves"
        reached = run.checkpoint or 0
        train(run, stop=2)
        train(run, stop=2)
        assert run.finished
        assert run.read_tree("params.safetensors", {"steps": np.zeros(1)})["steps"][0] == 2
        assert run.training() == [{"step": step} for step in range(3)]
        assert kept_steps(run) == [0, 1, 2]
        assert {path.name for path in run.directory.iterdir()} == {*run.info()["files"], "run.json"}
        number += 1
    assert whole > 30


def test_two_writers_of_one_run_take_turns(run, capsys):
    threads = [threading.Thread(target=train, args=(run, 20)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run.finished
    assert len(run.training()) == 21
    assert "waiting for" in capsys.readouterr().err


WRITER = """
import sys, time
from pathlib import Path
from implicit_inference.config.changes import PRESETS
from implicit_inference.runs.drafts import owned
from implicit_inference.runs.store import Run
run = Run(Path(sys.argv[1]))
with owned(run) as draft:
    if run.finished:
        sys.exit("skipped")
    rows = run.training()
    if not rows:
        draft.begin(PRESETS["smoke"], [])
    while len(rows) < 30:
        rows.append({"step": len(rows) + 1})
        draft.drop_checkpoint()
        draft.write_table(f"checkpoint-{len(rows)}.parquet", rows)
        draft.commit()
        print(len(rows), flush=True)
        time.sleep(0.02)
    draft.write_table("training.parquet", rows)
    draft.finish({})
"""


@pytest.mark.parametrize("then", [signal.SIGCONT, signal.SIGKILL])
def test_a_stopped_owner_is_waited_for_and_a_dead_one_is_taken_over(run, then):
    command = [sys.executable, "-c", WRITER, str(run.directory)]
    slow = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert [slow.stdout.readline() for _ in range(3)] == ["1\n", "2\n", "3\n"]
    os.kill(slow.pid, signal.SIGSTOP)
    fast = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    as_text = fast.stderr.readline()
    assert as_text.startswith(f"{run.id}: waiting for ")
    assert f"process {slow.pid}," in as_text
    before = run.info()
    assert fast.poll() is None
    os.kill(slow.pid, then)
    steps, error = fast.communicate(timeout=60)
    slow.communicate(timeout=60)
    if then == signal.SIGCONT:
        assert (slow.returncode, fast.returncode, steps, error) == (0, 1, "", "skipped\n")
    else:
        assert (slow.returncode, fast.returncode, error) == (-signal.SIGKILL, 0, "")
        assert f"checkpoint-{int(steps.split()[0]) - 1}.parquet" in before["files"], "it goes on from what was kept"
    assert [record["step"] for record in run.training()] == list(range(1, 31))
    assert {path.name for path in run.directory.iterdir()} == {*run.info()["files"], "run.json"}


def test_a_finished_run_is_never_written_to(run):
    with owned(run) as draft:
        draft.begin(SMOKE, [])
        draft.write_table("training.parquet", [{"step": 1}])
        draft.finish({})
        before = {path.name: path.read_bytes() for path in run.directory.iterdir()}
        for write in (lambda: draft.begin(SMOKE, []), lambda: draft.write("x", b""), draft.commit):
            with pytest.raises(StoreError, match="is finished"):
                write()
        assert {path.name: path.read_bytes() for path in run.directory.iterdir()} == before


def test_an_owner_whose_directory_was_taken_away_writes_nothing(run):
    with owned(run) as draft:
        draft.begin(SMOKE, [])
        run.path("lock").unlink()
        with owned(run) as other:
            other.begin(SMOKE, [])
            with pytest.raises(StoreError, match="no longer this process's"):
                draft.write_table("training.parquet", RECORDS)


def test_a_finished_run_is_tidied_where_that_is_allowed(run, monkeypatch):
    finished(run, SMOKE)
    run.path("figures").mkdir()
    strays = ["checkpoint-5.safetensors", "checkpoint-5.parquet", "params-5.safetensors", "params.safetensors", "lock"]
    strays += [".0123456789abcdef.tmp", "figures/.0123456789abcdef.tmp"]
    own = ("notes.tmp", "params.txt", "checkpoint-of-mine.parquet", "report.html", "figures/recovery.png")
    for name in (*strays, *own):
        run.path(name).write_bytes(b"x")
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "open", lambda *a: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
        tidy(run)
    assert run.path("lock").exists()
    tidy(run)
    assert not any(run.path(name).exists() for name in strays)
    assert all(run.path(name).exists() for name in own)


def test_tidying_waits_for_nobody_and_any_command_that_meets_a_run_tidies_it(run, capsys):
    finished(run, SMOKE)
    run.path("checkpoint-5.safetensors").write_bytes(b"x")
    with files.locked(run.directory, print):  # say an owner that was stopped after it had finished
        tidy(run)
        assert run.path("checkpoint-5.safetensors").exists()
        assert main(["show", run.id, f"--runs={run.directory.parent}"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["show", run.id, f"--runs={run.directory.parent}"]) == 0
    assert {path.name for path in run.directory.iterdir()} == {*run.info()["files"], "run.json"}


def test_a_resumed_run_keeps_its_parents(tmp_path):
    probe = Run(tmp_path / run_id("probe", SMOKE))
    parents = [run_id(stage, SMOKE) for stage in ("pretrain", "finetune", "scratch")]
    with owned(probe) as draft:
        draft.begin(SMOKE, parents)
    with owned(probe) as draft:
        draft.finish({})
    assert probe.info()["parents"] == parents


def test_the_configuration_comes_back(draft):
    config = draft.run.config()
    assert (config.tasks, config.pretrain) == (SMOKE.tasks, SMOKE.pretrain)
    assert config.finetune == base().finetune  # a pretraining does not depend on it


def test_the_environment_does_without_git_and_tells_the_flags(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    found = made_with(12.5)
    assert found["git_commit"] is None
    assert found["jax_variables"]["JAX_ENABLE_X64"] == "1"
    assert found["wall_seconds"] == 12.5
    assert found["versions"]["jax"]
    assert found["devices"].startswith("2 x")
    assert environment.PACKAGES[0] in found["versions"]


def test_finding_a_run(run, tmp_path):
    runs = tmp_path / "runs"
    with owned(run) as draft:
        draft.begin(SMOKE, [])
    (runs / "pretrain-of-mine").mkdir()
    with pytest.raises(StoreError, match="unfinished"):
        store.find(runs, run.id, "pretrain")
    finished(run, SMOKE)
    assert store.find(runs, run.id[:12], "pretrain") == run
    with pytest.raises(StoreError, match=r"finetune-9: no such finetune run .* allowed: none yet"):
        store.find(runs, "finetune-9", "finetune")
    with pytest.raises(StoreError, match=f"{run.id}: is not a finetune run"):
        store.find(runs, run.id, "finetune")
    other = override(SMOKE, {"seeds": [3]})
    finished(Run(runs / run_id("pretrain", other)), other)
    with pytest.raises(StoreError, match="more than one"):
        store.find(runs, "pretrain-", "pretrain")


def test_one_unreadable_probe_does_not_stop_the_page_of_the_others(tmp_path, capsys):
    runs = tmp_path / "runs"
    good = probe_run(runs)
    broken = probe_run(runs, override(good.config(), {"finetune.steps": 100}))
    broken.path("result.json").write_text("{}")
    old = runs / "probe-0000000000"
    old.mkdir()
    (old / "run.json").write_text('{"stage": "probe", "parents": [], "finished": true}')
    assert main(["report", "--runs", str(runs)]) == 0
    err = capsys.readouterr().err
    assert err.count("\n") == 2
    assert f"left out: {broken.path('result.json')}: is damaged" in err
    assert "another version" in err
    assert main(["report", broken.id, "--runs", str(runs)]) == 2
    assert main(["show", old.name, "--runs", str(runs)]) == 2
    capsys.readouterr()
    for path in (good.path("run.json"), broken.path("run.json")):
        path.write_text("{")
    assert main(["report", "--runs", str(runs)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_finished_probe_is_read_and_drawn_without_a_write_to_it(probe, tmp_path):
    def snapshot():
        runs = probe.directory.parent
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(runs.rglob("*"))}

    before = snapshot()
    runs = f"--runs={probe.directory.parent}"
    assert main(["report", probe.id, runs, f"--out={tmp_path / 'page.html'}"]) == 0
    assert main(["figures", probe.id, runs, f"--out={tmp_path / 'drawn'}"]) == 0
    assert main(["show", probe.id, runs]) == 0
    assert snapshot() == before
    assert (tmp_path / "page.html").read_text().count("<svg") == 7
    assert len(list((tmp_path / "drawn").glob("*.svg"))) == 7


def test_reading_a_run_needs_no_jax(probe):
    code = "import sys; from implicit_inference.runs.store import Run; from pathlib import Path"
    code += f"; run = Run(Path({str(probe.directory)!r}))"
    code += "; run.config(); run.read_table('table.parquet'); sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
