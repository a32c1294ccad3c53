"""The local engine: a bounded pool of pinned processes, whose ends are told as they were; stubs instead of training."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from implicit_inference.config.errors import UserError
from implicit_inference.engines.engine import Place
from implicit_inference.engines.local import Local
from implicit_inference.engines.processes import Process

STUB = """
import os, signal, sys, time
exec(sys.stdin.readline())
"""
COMMAND = (sys.executable, "-c", STUB)
CORE = min(os.sched_getaffinity(0))


def all_ended(engine, *texts):
    for i, text in enumerate(texts):
        engine.submit(str(i), text)
    found = []
    while len(found) < len(texts):
        found += engine.gather()
    assert engine.gather() == []
    return sorted(found)


def test_each_end_is_told_as_it_was():
    engine = Local([(CORE,)] * 5, COMMAND)
    ended = all_ended(
        engine,
        "pass",
        "sys.exit('implicit-inference: tasks.dim = 0: wrong')",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os._exit(143)",
        "os._exit(3)",
    )
    assert [(fault, lost) for _, fault, lost in ended] == [
        (None, False),
        ("tasks.dim = 0: wrong", False),
        ("killed by signal 9 (Killed), perhaps for want of memory", True),
        ("ended with exit code 143", True),
        ("ended with exit code 3", False),
    ]
    assert len(engine._free) == 5


def test_a_process_runs_on_its_cores_alone(tmp_path):
    text = f"open({str(tmp_path / 'cores')!r}, 'w').write(str(os.sched_getaffinity(0)))"
    assert all_ended(Local([(CORE,)], COMMAND), text)[0].fault is None
    assert (tmp_path / "cores").read_text() == str({CORE})


def test_close_asks_processes_to_keep_their_state(tmp_path):
    engine = Local([(CORE,)], COMMAND)
    kept = str(tmp_path / "kept")
    stop = f"signal.signal(signal.SIGTERM, lambda *_: (open({kept!r}, 'w').write('state'), os._exit(143)))"
    ready = str(tmp_path / "ready")
    engine.submit("0", f"{stop}; open({ready!r}, 'w').close(); time.sleep(60)")
    until = time.monotonic() + 20
    while not os.path.exists(ready) and time.monotonic() < until:
        time.sleep(0.01)
    engine.close()
    assert (tmp_path / "kept").read_text() == "state"


def test_a_job_ends_with_its_driver():
    """A driver that is killed closes the standard input of its jobs."""
    driver = (
        "import os, signal, sys\nfrom implicit_inference.engines.processes import Process\n"
        "print(Process('0', '{', command=(sys.executable, '-c', sys.argv[1])).pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    job = "import sys, time, implicit_inference.job as job\nsys.stdin.buffer.readline(); job._end_with_the_driver()"
    job += "; time.sleep(60)"
    done = subprocess.run([sys.executable, "-c", driver, job], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    pid, until = int(done.stdout), time.monotonic() + 20
    while time.monotonic() < until and _alive(pid):
        time.sleep(0.02)
    assert not _alive(pid)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_a_wrong_job_is_told_in_one_line():
    ended = Process("0", json.dumps({"runs": "x", "stages": [], "config": {"world": "regression", "seeds": 3}})).ended(
        True
    )
    assert (ended.fault, ended.lost) == ("seeds = 3: allowed: a list of whole numbers >= 0 <= 4294967295", False)


@pytest.mark.parametrize(
    ("on", "jobs", "memory", "room", "sizes"),
    [
        ("local", 8, 10, None, [1, 1, 1, 1]),
        ("local", 2, 10, None, [2, 2]),
        ("local", 8, 10, 35, [1, 1, 1]),
        ("local", 8, 10, 5, [4]),
        ("local:2", 8, 10, None, [2, 2]),
    ],
)
def test_as_many_processes_as_jobs_cores_and_memory_allow(on, jobs, memory, room, sizes, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {4, 5, 6, 7})
    engine = Place.of(on).opened(jobs, memory, room, tmp_path)
    cores = [core for part in engine._free for core in part]
    assert [len(part) for part in engine._free] == sizes
    assert engine.places == len(sizes)
    assert len(set(cores)) == len(cores)


@pytest.mark.parametrize(("on", "package"), [("ray", "ray"), ("ray:host:1", "ray"), ("slurm", "submitit")])
def test_an_engine_that_is_not_installed_is_told_with_the_command_that_installs_it(on, package, monkeypatch):
    monkeypatch.setattr("implicit_inference.engines.engine.find_spec", lambda name: None)
    extra = on.partition(":")[0]
    with pytest.raises(UserError, match=rf"{package} is not installed; .*pip install 'implicit-inference\[{extra}\]'"):
        Place.of(on)


def test_the_driver_and_its_engines_take_no_jax():
    code = (
        "import sys\n"
        "from implicit_inference.sweeps import driver, perform, plan, table\n"
        "from implicit_inference.engines import engine, local, processes\n"
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
