"""Two processes on this machine stand for two hosts."""

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

from implicit_inference.cli import main
from implicit_inference.config.changes import PRESETS
from implicit_inference.config.errors import UserError
from implicit_inference.config.identity import run_id
from implicit_inference.runs import hosts, meeting
from implicit_inference.runs.meeting import hosts_from
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
    command = [sys.executable, "-m", "implicit_inference", "pretrain", f"--runs={runs}", *FLAGS, *extra]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def losses(runs):
    run = find(runs, "pretrain-")
    return np.array(
        [record["mean"] for record in run.read_table("training.parquet") if record["predictor"] == "network"]
    )


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


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1])
def test_sigterm_ends_every_host_at_once(first, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    long = [f"--hosts={address},2,%d", "--pretrain.steps=200000", "--pretrain.batch=32"]
    processes = [pretrain(tmp_path, *(flag.replace("%d", str(index)) for flag in long)) for index in (0, 1)]
    while "/200000" not in processes[0].stdout.readline():
        assert processes[0].poll() is None
    for index in (first, 1 - first):
        processes[index].send_signal(signal.SIGTERM)
    outputs = [process.communicate(timeout=30)[0] for process in processes]
    assert [process.returncode for process in processes] == [143, 143], outputs
    for output in outputs:
        assert output.endswith("implicit-inference: terminated; the same command resumes\n")


@pytest.mark.slow
def test_the_first_host_says_in_one_line_that_another_is_gone(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    long = ["--pretrain.steps=200000", "--pretrain.batch=32"]
    first, other = (pretrain(tmp_path, f"--hosts={address},2,{index}", *long) for index in (0, 1))
    while "/200000" not in first.stdout.readline():
        assert first.poll() is None
    other.kill()
    output = first.communicate(timeout=60)[0]
    other.communicate(timeout=60)
    assert first.returncode == 1, output
    assert "Traceback" not in output
    last = output.splitlines()[-1]
    assert last.startswith("implicit-inference: a host is gone (")
    assert last.endswith("; the same command on all hosts resumes")


@pytest.mark.parametrize(
    "wrong",
    [
        "here",
        "localhost,2,0",
        "localhost:1,2,2",
        "localhost:1,two,0",
        "localhost:0,2,0",
        "localhost:99999,2,0",
        "localhost:65536,2,0",
        "localhost:1,0,0",
        "localhost:1,513,0",
        "localhost:1,2,-1",
        "::1:5,2,0",
        "two words:1,2,0",
        ":1,2,0",
    ],
)
def test_a_wrong_description_is_refused(wrong, capsys):
    assert main(["pretrain", f"--hosts={wrong}"]) == 2
    assert f"hosts = {wrong!r}: allowed: auto, or ADDRESS:PORT" in capsys.readouterr().err


def test_an_unknown_host_is_refused_at_once(capsys, monkeypatch):
    def unknown(*arguments, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert main(["pretrain", "--hosts=nowhere:1234,2,1"]) == 2
    assert "hosts = 'nowhere:1234,2,1': no such host (Name or service not known)" in capsys.readouterr().err


@pytest.mark.parametrize(("address", "bound"), [("127.0.0.1:1234", "127.0.0.1:1234"), ("[::1]:1234", "[::1]:1234")])
def test_the_coordinator_listens_where_it_was_told_and_leaves_sigterm_alone(address, bound, monkeypatch):
    found = {}

    def initialize(coordinator, count, index, **options):
        found.update(options, place=(coordinator, count, index), preemption=jax.config.jax_enable_preemption_service)

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    hosts.join(hosts_from(f"{address},1,0"))
    assert found == {"place": (address, 1, 0), "preemption": False, "coordinator_bind_address": bound}


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(meeting, "PATIENCE", 1.0)
    return f"127.0.0.1:{free_port()}"


def meeting_of(address, *places):
    """Lets these hosts, (count, index), come at once, the first a little before: what each of them hears."""

    def outcome(place):
        time.sleep(0.1 * bool(place[1]))
        try:
            return meeting.meet(hosts_from(f"{address},{place[0]},{place[1]}"))
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor(len(places)) as pool:
        return list(pool.map(outcome, places))


def test_hosts_meet_and_the_port_is_free_for_jax_at_once(impatient):
    assert meeting_of(impatient, (3, 0), (3, 1), (3, 2)) == [None] * 3
    with socket.create_server(("127.0.0.1", int(impatient.split(":")[1]))):
        pass
    assert meeting_of(f"[::1]:{free_port()}", (2, 0), (2, 1)) == [None] * 2


def test_a_host_that_leaves_does_not_count(impatient):
    port = int(impatient.split(":")[1])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(meeting_of, impatient, (3, 0))
        time.sleep(0.2)
        with socket.create_connection(("127.0.0.1", port)) as guest:
            guest.sendall(hosts_from(f"{impatient},3,1").greeting)
            time.sleep(0.2)
        assert meeting_of(impatient, (3, 2))[0].startswith(f"hosts = {impatient}: within 1 s not all")
        assert "no sign of host 1" in first.result()[0]


def test_a_host_that_comes_before_the_first_waits_for_it(impatient):
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(meeting_of, impatient, (2, 1))
        time.sleep(0.4)
        assert meeting_of(impatient, (2, 0)) == [None]
        assert early.result() == [None]


def test_absent_hosts_are_named_in_time(impatient):
    first, third = meeting_of(impatient, (3, 0), (3, 2))
    assert first == f"hosts = {impatient}: within 1 s no sign of host 1"
    assert third.startswith(f"hosts = {impatient}: within 1 s not all hosts were there")
    assert meeting_of(impatient, (2, 1)) == [
        f"hosts = {impatient}: within 1 s not all hosts were there (Connection refused)"
    ]


def test_hosts_that_do_not_fit_are_told_so(impatient):
    outcomes = meeting_of(impatient, (2, 0), (3, 1))
    assert "expects a COUNT of 2" in outcomes[1]
    outcomes = meeting_of(impatient, (3, 0), (3, 1), (3, 1))
    assert sorted("waits with another host of this INDEX" in outcome for outcome in outcomes) == [False, False, True]


def test_a_stranger_is_not_a_host(impatient):
    port = int(impatient.split(":")[1])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(meeting_of, impatient, (2, 0))
        time.sleep(0.2)
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert stranger.recv(64) == b""
        assert "no sign of host 1" in first.result()[0]


def test_an_address_of_another_machine_cannot_be_listened_on():
    assert "allowed: an address of this host" in meeting_of("192.0.2.1:1234", (2, 0))[0]


@pytest.mark.parametrize("kind", [jax.errors.JaxRuntimeError, ValueError])
def test_a_lost_host_is_one_line(kind, monkeypatch):
    failure = kind("UNKNOWN: Gloo all-reduce failed: Connection closed by peer")
    with pytest.raises(kind), hosts.together():
        raise failure
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(hosts.HostLostError, match=r"a host is gone \(.*Gloo .*\); the same command"), hosts.together():
        raise failure
    with pytest.raises(ValueError, match="a fault of the program"), hosts.together():
        raise ValueError("a fault of the program")


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
