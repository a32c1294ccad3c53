"""Two processes on this machine stand for two hosts."""

import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from implicit_inference.runs import hosts
from implicit_inference.cli import main
from implicit_inference.config.changes import PRESETS
from implicit_inference.config.errors import UserError
from implicit_inference.config.identity import run_id
from implicit_inference.runs.store import Run, find

FLAGS = [
    "--preset=smoke",
    "--seeds=0",
    "--model.layers=1",
    "--model.width=8",
    "--model.heads=2",
    "--pretrain.steps=10",
    "--pretrain.warmup=2",
    "--pretrain.optimizer=adam",
    "--pretrain.target=label",
]


def pretrain(runs, *extra):
    command = [sys.executable, "-m", "implicit_inference.cli", "pretrain", f"--runs={runs}", *FLAGS, *extra]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def losses(runs):
    run = find(runs, "pretrain-")
    return np.array([row["mean"] for row in run.read_table("training.parquet") if row["predictor"] == "network"])


@pytest.mark.slow
def test_two_hosts_learn_what_one_learns(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    together = [pretrain(tmp_path / "two", f"--hosts={address},2,{index}") for index in (0, 1)]
    outputs = [process.communicate(timeout=100)[0] for process in together]
    assert [process.returncode for process in together] == [0, 0], outputs
    alone = pretrain(tmp_path / "one")
    output, _ = alone.communicate(timeout=100)
    assert alone.returncode == 0, output
    first, second = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(first) == 22  # 11 evaluations of two families
    np.testing.assert_allclose(second, first, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    ["here", "localhost,2,0", "localhost:1,2,2", "localhost:1,two,0", "h:99999,2,0", "h:0,2,0", "h:1,0,0", "::1:5,2,0"],
)
def test_a_wrong_description_is_refused(wrong, capsys):
    assert main(["pretrain", f"--hosts={wrong}"]) == 2
    assert f"hosts = {wrong!r}: allowed: auto, or ADDRESS:PORT" in capsys.readouterr().err


def test_an_unknown_name_is_refused_at_once():
    with pytest.raises(UserError, match=r"nowhere\.invalid:1234.*not known"):
        hosts.meet("nowhere.invalid:1234", 2, 0)


def test_an_absent_host_is_named_after_the_longest_wait(monkeypatch, capsys):
    monkeypatch.setattr(hosts, "LONGEST_WAIT", 0.3)
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(UserError, match=rf"the hosts \[1, 2\] did not come to {address} in 0\.3 s"):
        hosts.meet(address, 3, 0)
    with pytest.raises(UserError, match=rf"the first host did not answer at {address}"):
        hosts.meet(address, 3, 1)
    assert f"waiting for 3 at {address}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["127.0.0.1", "[::1]"])
def test_hosts_that_are_there_meet_in_any_order_and_strangers_do_not_count(name):
    address, met = f"{name}:{free_port()}", []
    others = [threading.Thread(target=lambda i=i: met.append((hosts.meet(address, 3, i), i))) for i in (2, 1)]
    for thread in others:
        thread.start()
    first = threading.Thread(target=lambda: met.append((hosts.meet(address, 3, 0), 0)))
    first.start()
    for thread in (first, *others):
        thread.join(30)
    assert sorted(index for _, index in met) == [0, 1, 2]


def test_one_host_gathers_and_agrees_with_itself(tmp_path):
    assert hosts.agreed(True)
    assert not hosts.agreed(False)
    run = Run(tmp_path / run_id("pretrain", PRESETS["smoke"]))
    with hosts.writing(run) as writer:
        writer.begin(PRESETS["smoke"], [])
        writer.keep("params-5.safetensors", {"a": np.arange(3.0)})
        writer.checkpoint(5, {"a": np.arange(3.0)}, [{"step": 5, "mean": 0.5}])
        before = {path.name: path.read_bytes() for path in run.directory.iterdir()}
        writer.keep("params-5.safetensors", {"a": np.ones(3)})
        writer.checkpoint(5, {"a": np.ones(3)}, [])
        assert {path.name: path.read_bytes() for path in run.directory.iterdir()} == before, "a file that counts stays"
        assert run.checkpoint == 5
        assert run.training() == [{"step": 5, "mean": 0.5}]
        np.testing.assert_array_equal(
            run.read_tree("checkpoint-5.safetensors", {"a": np.zeros(3)})["a"], np.arange(3.0)
        )


@pytest.mark.parametrize("index", [0, 1])
def test_no_host_goes_on_before_the_first_one_owns_the_run(tmp_path, monkeypatch, index):
    run, met = Run(tmp_path / run_id("pretrain", PRESETS["smoke"])), []
    monkeypatch.setattr(hosts.jax, "process_count", lambda: 2)
    monkeypatch.setattr(hosts.jax, "process_index", lambda: index)
    monkeypatch.setattr(
        hosts.multihost_utils, "sync_global_devices", lambda name: met.append((name, run.path("lock").exists()))
    )
    with hosts.writing(run) as writer:
        assert met == [(f"{run.id} is owned", index == 0)]
        assert (writer.draft is not None) == (index == 0)
