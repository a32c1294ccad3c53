import json

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from implicit_inference import store
from implicit_inference.config import PRESETS, Config, override, run_id
from implicit_inference.store import Run, StoreError

TREE = {"a": {"kernel": np.arange(6.0, dtype=np.float32).reshape(2, 3)}, "b": np.array([1, 2], np.int32)}


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "runs" / run_id("pretrain", PRESETS["smoke"]))
    run.begin(PRESETS["smoke"], [])
    return run


def test_trees_come_back_bit_equal_and_have_readable_names(run):
    run.write_tree("params.safetensors", TREE)
    assert set(load_file(run.path("params.safetensors"))) == {"a/kernel", "b"}
    back = run.read_tree("params.safetensors", TREE)
    np.testing.assert_array_equal(back["a"]["kernel"], TREE["a"]["kernel"])
    np.testing.assert_array_equal(back["b"], TREE["b"])


@pytest.mark.parametrize("kept", [0, 4, 60, 0.9])
def test_truncated_files_are_named_and_never_half_read(run, kept):
    run.write_tree("params.safetensors", TREE)
    run.write_table("training.parquet", [{"step": s, "mean": 0.5} for s in range(100)])
    for name, read in (
        ("params.safetensors", lambda: run.read_tree("params.safetensors", TREE)),
        ("training.parquet", lambda: run.read_table("training.parquet")),
    ):
        content = run.path(name).read_bytes()
        run.path(name).write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
        with pytest.raises(StoreError, match=rf"{name}.*damaged") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_another_shape_or_a_missing_array_is_named(run):
    run.write_tree("params.safetensors", TREE)
    with pytest.raises(StoreError, match="a/kernel"):
        run.read_tree("params.safetensors", TREE | {"a": {"kernel": jnp.zeros((3, 3))}})
    with pytest.raises(StoreError, match="c is missing"):
        run.read_tree("params.safetensors", TREE | {"c": jnp.zeros(3)})


def test_a_failed_write_leaves_the_old_file(run, monkeypatch):
    run.write("result.json", b"old")

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(store.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        run.write("result.json", b"new")
    assert run.path("result.json").read_bytes() == b"old"


def test_the_configuration_comes_back(run):
    config = run.config()
    assert (config.tasks, config.pretrain) == (PRESETS["smoke"].tasks, PRESETS["smoke"].pretrain)
    assert config.finetune == Config().finetune  # a pretraining does not depend on it


def test_a_cut_configuration_or_state_is_named(run):
    text = run.path("config.toml").read_text()
    run.write("config.toml", text[: text.index("[model]")].encode())
    with pytest.raises(StoreError, match=r"config\.toml: is damaged"):
        run.config()
    run.write("run.json", b"{}")
    with pytest.raises(StoreError, match=r"run\.json: is damaged"):
        run.info()


def test_the_environment_does_without_git(run, monkeypatch):
    monkeypatch.setenv("PATH", "")
    run.finish(1.0)
    assert json.loads(run.path("env.json").read_text())["git_commit"] is None


def test_finished_runs_record_their_environment(run):
    assert not run.finished
    run.write_tree("checkpoint.safetensors", TREE)
    run.finish(12.5)
    assert run.finished
    assert not run.path("checkpoint.safetensors").exists()
    environment = json.loads(run.path("env.json").read_text())
    assert environment["wall_seconds"] == 12.5
    assert environment["versions"]["jax"]
    assert environment["devices"].startswith("2 x")


def test_finding_a_run(run, tmp_path):
    runs = tmp_path / "runs"
    with pytest.raises(StoreError, match="unfinished"):
        store.find(runs, run.id, "pretrain")
    run.finish(1.0)
    assert store.find(runs, run.id[:12], "pretrain") == run
    with pytest.raises(StoreError, match=r"finetune-9: no such finetune run .* allowed: none yet"):
        store.find(runs, "finetune-9", "finetune")
    with pytest.raises(StoreError, match=f"{run.id}: is not a finetune run"):
        store.find(runs, run.id, "finetune")
    config = override(PRESETS["smoke"], {"seeds": [3]})
    Run(runs / run_id("pretrain", config)).begin(config, [])
    with pytest.raises(StoreError, match="more than one"):
        store.find(runs, "pretrain-", "pretrain")
