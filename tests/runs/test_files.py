"""Files are whole or absent, temporary names are nobody's to guess, and a directory has one owner at a time."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from implicit_inference.config.errors import UserError
from implicit_inference.runs import files
from implicit_inference.runs.files import locked, write_whole

OWNER = """
import sys, time
from pathlib import Path
from implicit_inference.runs.files import locked
with locked(Path(sys.argv[1]), lambda owner: print("waiting", owner, flush=True)):
    print("mine", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def owner(directory, seconds):
    command = [sys.executable, "-c", OWNER, str(directory), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_many_writers_of_one_name_and_one_process_id_never_mix(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)
    contents = [bytes([letter]) * 50_000 for letter in b"abcdefgh"]
    faults = []

    def write(content):
        for _ in range(10):
            try:
                write_whole(tmp_path / "file", content)
                assert (tmp_path / "file").read_bytes() in contents
            except BaseException as fault:
                faults.append(fault)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_written_through_a_planted_link(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "file").symlink_to(victim)
    for predictable in (f".file.{os.getpid()}", ".file.tmp", "file.tmp"):
        (tmp_path / predictable).symlink_to(victim)
    write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not (tmp_path / "file").is_symlink()
    monkeypatch.setattr(files.secrets, "token_hex", lambda n: "known")
    (tmp_path / ".known.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "file", b"newer")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OSError, match="lock"), locked(tmp_path, print):
        pass
    assert victim.read_bytes() == b"precious"


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_whole(tmp_path / "file", b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "file", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_colleagues_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_second_owner_waits_and_a_dead_one_is_taken_over(tmp_path):
    first = owner(tmp_path, 60)
    assert first.stdout.readline() == "mine\n"
    os.kill(first.pid, signal.SIGSTOP)  # a stopped owner is an owner
    second = owner(tmp_path, 0)
    as_text = second.stdout.readline()
    assert as_text.startswith("waiting")
    assert f"process {first.pid}" in as_text
    time.sleep(0.2)
    assert second.poll() is None
    os.kill(first.pid, signal.SIGKILL)
    assert second.communicate(timeout=30)[0] == "mine\n"
    first.communicate()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_deleted_is_no_longer_held(tmp_path):
    with locked(tmp_path, print) as lock:
        assert lock.held
        (tmp_path / "lock").unlink()
        assert not lock.held
        with locked(tmp_path, print) as other:
            assert other.held
            assert not lock.held
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_locked_are_one_line(tmp_path, monkeypatch):
    def unsupported(descriptor, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    with (
        pytest.raises(UserError, match=r"lock: cannot be locked \(Operation not supported\); keep runs on"),
        locked(tmp_path, print),
    ):
        pass


def test_a_system_without_locks_has_one_owner_by_name_only(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    with locked(tmp_path, print) as lock:
        assert lock.held
        assert lock.path.read_text().endswith(f"process {os.getpid()}\n")
    assert list(tmp_path.iterdir()) == []


def test_names_as_long_as_the_system_takes_are_written(tmp_path):
    write_whole(tmp_path / ("n" * 255), b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_kill_of_the_process_leaves_the_old_file_and_at_most_a_temporary_one(tmp_path, call):
    code = "import os, sys; from pathlib import Path; from implicit_inference.runs import files"
    code += f"; files.os.{call} = lambda *a, **k: os._exit(9); files.write_whole(Path(sys.argv[1]) / 'file', b'new')"
    write_whole(tmp_path / "file", b"old")
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == 9
    assert (tmp_path / "file").read_bytes() == b"old"
    assert all(files.TEMPORARY.fullmatch(path.name) for path in tmp_path.iterdir() if path.name != "file")


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_write_that_fails_names_the_file_that_was_to_be_written(tmp_path, monkeypatch, call):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, call, full)
    with pytest.raises(OSError, match=r"No space .*: .*params.safetensors'$"):
        write_whole(tmp_path / "params.safetensors", b"x")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
