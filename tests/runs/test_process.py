"""A command as the shell sees it: exit codes, one line on stderr, whatever the streams and the time of a signal."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_up import probe_run

from implicit_inference.config.errors import Terminated, UserError
from implicit_inference.runs import process
from implicit_inference.runs.process import interruptible

COMMAND = [sys.executable, "-m", "implicit_inference"]


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "it: interrupted; the same command resumes\n"),
        (Terminated(), 143, "it: terminated; the same command resumes\n"),
        (UserError("wrong\nline"), 2, "it: wrong\\nline\n"),
        (PermissionError(13, "Permission denied", "a/b"), 2, "it: a/b: Permission denied\n"),
        (BrokenPipeError(32, "Broken pipe"), 0, ""),
    ],
)
def test_what_ends_a_command_is_a_code_and_a_line(error, code, line, capsys):
    assert process.run("it", raising(error)) == code
    assert capsys.readouterr() == ("", line)


def test_a_fault_of_the_program_ends_the_process_at_once_with_its_traceback(monkeypatch, capsys):
    monkeypatch.setattr(os, "_exit", lambda code: sys.exit(f"at once {code}"))
    with pytest.raises(SystemExit, match="at once 1"):
        process.leave(raising(RuntimeError("a fault")))
    assert "RuntimeError: a fault" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="at once 2"):
        process.leave(lambda: 2)
    with pytest.raises(SystemExit) as ended:
        process.leave(lambda: 0)
    assert ended.value.code == 0


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_is_raised_in_work_that_keeps_its_state(number, kind):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as raised, interruptible():
        signal.raise_signal(number)
    assert raised.type is kind
    assert signal.getsignal(number) is before


BLOCKED = """
import ctypes
from implicit_inference.runs import process
process.begin("it")
process.end_at_once("it")
print("blocked", flush=True)
mutex = ctypes.create_string_buffer(64)
for _ in range(2):
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_a_process_that_is_blocked_outside_of_python(number, code, word):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", BLOCKED], text=True, **pipes) as child:
        assert child.stdout.readline() == "blocked\n"
        child.send_signal(number)
        _, error = child.communicate(timeout=20)
    assert (child.returncode, error) == (code, f"it: {word}; the same command resumes\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_one_line_while_jax_is_imported(number, tmp_path):
    command = [*COMMAND, "pretrain", "--preset=smoke", f"--runs={tmp_path}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        deadline = time.monotonic() + 30
        while "jaxlib" not in Path(f"/proc/{child.pid}/maps").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(number)
        _, error = child.communicate(timeout=30)
    code, word = {signal.SIGINT: (130, b"interrupted"), signal.SIGTERM: (143, b"terminated")}[number]
    assert (child.returncode, error) == (code, b"implicit-inference: " + word + b"; the same command resumes\n")


SWALLOWING = """
import time
print("importing", flush=True)
try:
    time.sleep(60)
except BaseException as error:
    raise ImportError("turned into another error")
"""


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_during_an_import_is_one_line(number, code, word, tmp_path):
    (tmp_path / "pyarrow.py").write_text(SWALLOWING)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, "show", "x"], env=environment, text=True, **pipes) as child:
        assert child.stdout.readline() == "importing\n"
        child.send_signal(number)
        _, error = child.communicate(timeout=20)
    assert (child.returncode, error) == (code, f"implicit-inference: {word}; the same command resumes\n")


def shell(line, **environment):
    """The command line, as `$0`, in a shell: (exit code, stdout, stderr)."""
    command = ["bash", "-c", line, *COMMAND]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=os.environ | environment
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The arguments that show a probe."""
    runs = tmp_path_factory.mktemp("process") / "runs"
    return f"show {probe_run(runs).id} --runs {runs}"


def test_output_that_is_cut_is_no_error(shown):
    for arguments in ("presets", shown):
        code, out, error = shell(f'"$0" "$@" {arguments} | head -c 5; exit ${{PIPESTATUS[0]}}')
        assert (code, len(out), error) == (0, 5, ""), arguments
    code, _, error = shell('"$0" "$@" run --help | head -c 5; exit ${PIPESTATUS[0]}')
    assert (code, error) == (0, "")


def test_closed_streams_and_full_disks(shown):
    assert shell(f'"$0" "$@" {shown} >&-') == (0, "", "")
    assert shell('"$0" "$@" show nothing 2>&-') == (2, "", "")
    code, _, error = shell('"$0" "$@" presets >/dev/full')
    assert (code, error) == (2, "implicit-inference: No space left on device\n")


def test_a_closed_stream_lends_its_number_to_no_file():
    code = "import os; from implicit_inference.runs import process; process.begin('it')\n"
    code += "print(open(os.devnull).fileno() > 2, os.readlink('/proc/self/fd/2'))"
    done = subprocess.run(["bash", "-c", '"$0" -c "$1" 2>&-', sys.executable, code], capture_output=True, check=True)
    assert done.stdout == f"True {os.devnull}\n".encode()


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}, {"TERM": "dumb", "COLUMNS": "1"}]
)
def test_any_terminal_can_show_a_run(shown, environment):
    code, out, error = shell(f'"$0" "$@" {shown}', **environment)
    assert (code, error) == (0, "")
    if "PYTHONIOENCODING" in environment:
        assert "\\xb1" in out


@pytest.mark.parametrize("runs", ["a file", "/dev/null/runs"])
def test_a_directory_of_runs_that_cannot_be_is_told_before_jax_starts(runs, tmp_path):
    (tmp_path / "a file").touch()
    code = "import sys; from implicit_inference.cli import main\n"
    code += f"code = main(['run', '--preset=smoke', '--runs={runs}'])\nsys.exit(code + 10 * ('jax' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"--runs {runs!r}: " in done.stderr
    assert done.stderr.count("\n") == 1
