"""Odd shells: what stands in the environment is one line or makes no difference, and a stop is one line at any time."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import matplotlib
import pytest
from made_up import CONFIG, probe_run
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from implicit_inference.runs import runtime
from implicit_inference.show import plots
from implicit_inference.config.changes import override
from implicit_inference.show.drawing import count, estimates, legend_below, titled, whole_ticks
from implicit_inference.measure.formulas import Estimate
from implicit_inference.show.notation import BLUE, RED, Look

COMMAND = [sys.executable, "-m", "implicit_inference"]


def run(*arguments, **environment):
    return subprocess.run(
        [*COMMAND, *arguments], env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_PLATFORMS", "cuda"),
        ("JAX_PLATFORMS", "nonsense"),
        ("JAX_NUM_CPU_DEVICES", "abc"),
        ("JAX_NUM_CPU_DEVICES", "0"),
        ("JAX_ENABLE_X64", "maybe"),
    ],
)
def test_what_jax_cannot_do_is_one_line_that_names_the_variable(name, value, tmp_path):
    done = run("pretrain", "--preset=smoke", f"--runs={tmp_path}", **{name: value})
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"{name} = '{value}'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_home_there_is_no_cache(monkeypatch):
    def fail(name):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(runtime.platformdirs, "user_cache_path", fail)
    assert runtime._cache() is None


def test_a_cache_that_cannot_be_made_is_no_cache(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(runtime.platformdirs, "user_cache_path", lambda name: tmp_path / "file")
    assert runtime._cache() is None
    monkeypatch.setattr(runtime.platformdirs, "user_cache_path", lambda name: tmp_path / "new")
    assert runtime._cache() == str(tmp_path / "new" / "xla")


def test_figures_look_alike_whatever_the_user_s_settings(tmp_path, monkeypatch):
    probe = probe_run(tmp_path / "runs")
    plain = plots.drawn(probe, ("png",))
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)
    assert plots.drawn(probe, ("png",)) == plain
    assert matplotlib.rcParams["font.size"] == 30
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfigure.dpi: 10\n")
    done = run(
        "figures",
        probe.id,
        f"--runs={tmp_path / 'runs'}",
        f"--out={tmp_path / 'drawn'}",
        MPLBACKEND="module://no_such.backend",
        MATPLOTLIBRC=str(tmp_path / "matplotlibrc"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name, picture in plain.items():
        assert (tmp_path / "drawn" / name).read_bytes() == picture, name


def test_nobody_reading_on_is_no_mistake(tmp_path):
    probe = probe_run(tmp_path)
    for arguments in (["presets"], ["run", "--help"], ["show", probe.id, f"--runs={tmp_path}"]):
        process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_one_line_while_jax_is_imported(number, tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "pretrain", "--preset=smoke", f"--runs={tmp_path}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while "jaxlib" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    code, word = {signal.SIGINT: (130, b"interrupted"), signal.SIGTERM: (143, b"terminated")}[number]
    assert (process.returncode, error) == (code, b"implicit-inference: " + word + b"; the same command resumes\n")


@pytest.mark.parametrize("arguments", [["show", "x"], ["report"], ["finetune", "--parent", "x"], ["figures", "x"]])
def test_nothing_slow_is_imported_to_find_that_there_is_nothing(arguments, tmp_path):
    code = "import sys; from implicit_inference.cli import main\n"
    code += f"assert main({arguments} + ['--runs', {str(tmp_path)!r}]) == 2\n"
    code += "sys.exit('jax' in sys.modules or 'matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_plain_encodings_hold_the_symbols(tmp_path):
    probe = probe_run(tmp_path)
    done = run("show", probe.id, f"--runs={tmp_path}", LC_ALL="C", PYTHONIOENCODING="ascii", TERM="dumb", NO_COLOR="1")
    assert (done.returncode, done.stderr) == (0, "")


def test_axes_that_count_are_ticked_at_whole_numbers_and_legends_name_what_is_there():
    figure = Figure()
    axes = figure.subplots()
    estimates(axes, Look("there", BLUE), [0, 1], [Estimate(1.0, 0.1), None])
    estimates(axes, Look("not there", RED), [0, 1], [None, Estimate(float("nan"), 0.1)])
    whole_ticks(axes)
    legend_below(figure)
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert all(tick == round(tick) for tick in ticks)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["there"]


@pytest.mark.parametrize("last", [1, 7, 11, 40, 400, 3000, 5000])
def test_whole_ticks_do_not_run_into_each_other(last):
    figure = Figure(figsize=(10 / 3, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, last], [0, 1])
    whole_ticks(axes)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [label.get_window_extent(canvas.get_renderer()) for label in axes.get_xticklabels() if label.get_text()]
    shown = sorted((box.x0, box.x1) for box in boxes)
    assert len(shown) > 1
    assert all(right < left for (_, right), (left, _) in pairwise(shown))


def test_one_seed_is_one_seed():
    assert (count(1, "seed"), count(2, "seed")) == ("1 seed", "2 seeds")
    for seeds, text in (([3], "; 1 seed × "), ([3, 4], "; 2 seeds × ")):
        assert text in titled(Figure(), "title", override(CONFIG, {"seeds": seeds})).get_suptitle()
