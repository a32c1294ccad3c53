"""Figures look alike everywhere, and show no tick, legend entry or number that is not there."""

import ast
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from made_up import CONFIG, probe_run
from matplotlib.backends.backend_agg import FigureCanvasAgg

from implicit_inference.config.changes import override
from implicit_inference.measure.formulas import Estimate
from implicit_inference.show import plots, report
from implicit_inference.show.drawing import Figure, counts, estimates, rendered, style, titled, undefined
from implicit_inference.show.notation import Look, counted, estimate, mean_text
from implicit_inference.show.terminal import first_results

ROOT = Path(__file__).parents[2]
DIGEST = """
import hashlib, sys
from implicit_inference.show.drawing import Figure, legend_below, rendered, style
with style():
    figure = Figure()
    figure.subplots().plot([1, 2], [3, 4.5], label="γ $x_1$")
    legend_below(figure)
    print(hashlib.sha256(rendered(figure, "png")).hexdigest())
"""


def test_a_figure_has_the_same_bytes_under_every_environment(tmp_path, capsys):
    exec(DIGEST)
    expected = capsys.readouterr().out
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "matplotlibrc").write_text("text.usetex: True\nlines.linewidth: 9\nfont.size: 30\n")
    (tmp_path / "file").touch()
    here = tmp_path / "damaged here"
    here.mkdir()
    for damaged in (tmp_path / "damaged", here / "matplotlibrc"):
        damaged.write_bytes(b"font.size: \xff\nnonsense: 1\n")
    for name, environment in {
        "a notebook": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        "nonsense": {"MPLBACKEND": "nonsense", "MATPLOTLIBRC": str(tmp_path / "damaged")},
        "settings": {"MATPLOTLIBRC": str(settings), "MPLCONFIGDIR": str(tmp_path / "file"), "LC_ALL": "C"},
        "here": {},
        "damaged here": {},
    }.items():
        directory = {"here": settings, "damaged here": here}.get(name, tmp_path)
        command = [sys.executable, "-c", DIGEST]
        done = subprocess.run(
            command, cwd=directory, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        assert (done.stdout, done.stderr) == (expected, ""), name


def test_figures_are_drawn_in_a_directory_that_is_gone(tmp_path):
    code = "import os, tempfile\nos.chdir(tempfile.mkdtemp(dir='.'))\nos.rmdir(os.getcwd())\n"
    code += "from implicit_inference.show.drawing import Figure"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


def test_figures_of_a_probe_look_alike_whatever_the_settings(tmp_path, monkeypatch):
    probe = probe_run(tmp_path / "runs")
    plain = plots.drawn(probe, ("png",))
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)
    assert plots.drawn(probe, ("png",)) == plain
    assert matplotlib.rcParams["font.size"] == 30
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfigure.dpi: 10\n")
    environment = {"MPLBACKEND": "module://no_such.backend", "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}
    command = [sys.executable, "-m", "implicit_inference", "figures", probe.id]
    command += [f"--runs={tmp_path / 'runs'}", f"--out={tmp_path / 'drawn'}"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for name, picture in plain.items():
        assert (tmp_path / "drawn" / name).read_bytes() == picture, name


def test_one_place_imports_matplotlib():
    for path in (*ROOT.glob("implicit_inference/**/*.py"), *ROOT.glob("figures/*.py"), *ROOT.glob("experiments/*.py")):
        tree = ast.walk(ast.parse(path.read_text()))
        names = [getattr(node, "module", None) or "" for node in tree if isinstance(node, ast.ImportFrom)]
        names += [a.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Import) for a in n.names]
        assert path.name == "drawing.py" or not any(name.startswith("matplotlib") for name in names), path


@pytest.mark.parametrize(("last", "ticks"), [(0, [0]), (1, [0, 1]), (2, [0, 1, 2]), (3, [0, 1, 2, 3])])
def test_an_axis_that_counts_has_whole_ticks(last, ticks):
    with style():
        axes = Figure().subplots()
        axes.plot(range(last + 1), range(last + 1), "o")
        counts(axes.xaxis, "exemplars in context")
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == ticks
    assert axes.get_xlabel() == "exemplars in context"


@pytest.mark.parametrize("last", [1, 7, 11, 40, 400, 3000, 5000])
def test_whole_ticks_do_not_run_into_each_other(last):
    figure = Figure(figsize=(10 / 3, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, last], [0, 1])
    counts(axes.xaxis, "step")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [label.get_window_extent(canvas.get_renderer()) for label in axes.get_xticklabels() if label.get_text()]
    shown = sorted((box.x0, box.x1) for box in boxes)
    assert len(shown) > 1
    assert all(right < left for (_, right), (left, _) in pairwise(shown))


def drawn(*values):
    with style():
        axes = Figure().subplots()
        estimates(axes, Look("curve", "black"), range(len(values)), [Estimate(v, 0.1) if v else None for v in values])
    return axes


def test_a_curve_that_is_not_there_has_no_legend_entry():
    for values in ((), (None, None), (float("nan"),)):
        axes = drawn(*values)
        assert axes.get_legend_handles_labels() == ([], [])
        assert not axes.lines
        undefined(axes, "no reason")
        assert axes.texts[0].get_text() == "undefined: no reason"
    there = drawn(1.0, 2.0)
    undefined(there, "no reason")
    assert not there.texts


def test_points_without_neighbours_are_seen():
    assert drawn(1.0).lines[0].get_marker() == "o"
    assert drawn(1.0, None, 2.0).lines[0].get_marker() == "o"
    assert drawn(1.0, 2.0, None).lines[0].get_marker() == ""


def test_a_point_without_neighbours_has_a_bar():
    def bars(*means: float | None, shade: float = 0.2) -> list[list[float]]:
        axes = Figure().subplots()
        found = [None if mean is None else Estimate(mean, 0.25) for mean in means]
        estimates(axes, Look("network", "#000000"), range(len(means)), found, shade)
        return [list(path.vertices[:, 1]) for made in axes.containers for path in made[2][0].get_paths()]

    assert bars(1.0) == [[0.75, 1.25]]
    assert bars(1.0, 2.0, None, 3.0) == [[2.75, 3.25]]
    assert bars(1.0, 2.0) == bars(1.0, shade=0.0) == []


def test_counts_have_their_number():
    assert [counted(n, "seed") for n in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]
    assert mean_text(1.0, 0.25, 2) == "1.00 ± 0.25"
    assert mean_text(1.0, float("nan")) == estimate({"mean": 1.0, "stderr": None}) == "1.000"
    odds = {"mean": 1.0, "median": 1.0, "lowest": 1.0, "highest": 1.0, "unlimited": 1, "seeds": 1}
    assert "no limit in 1 of 1 seed)" in estimate(odds)
    one, many = (
        titled(Figure(), "A", override(CONFIG, {"seeds": seeds}))._suptitle.get_text() for seeds in ([0], [0, 1])
    )
    assert "1 seed × " in one
    assert "standard error" not in one
    assert "2 seeds × " in many
    assert "bands: ± 1 standard error over seeds" in many


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The smallest probe that there can be."""
    changes = {"seeds": [7], "tasks.dim": 1, "prompts.length": 2, "probe.prompts": 4}
    changes |= {"probe.label_scales": [-1.0], "probe.label_shifts": [], "probe.input_scales": []}
    return probe_run(tmp_path_factory.mktemp("tiny"), override(CONFIG, changes))


def test_the_smallest_probe_has_figures_without_nonsense(tiny, monkeypatch):
    figures: dict[str, Figure] = {}
    names = iter(["answer", "loss_by_position", "recovery", "conjugations", "closeness", "origin", "training"])

    def kept(figure, kind, source):
        figures[next(names)] = figure
        return rendered(figure, kind, source)

    monkeypatch.setattr(plots, "rendered", kept)
    plots.drawn(tiny, ["png"])
    for name, figure in figures.items():
        texts = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
        assert not [text for text in texts if "nan" in text.split() or "1 seeds" in text or "1..1" in text], name
        for axes in figure.axes:
            if axes.get_xlabel() in ("exemplars in context", "optimiser step"):
                low, high = axes.get_xlim()
                assert all(float(t).is_integer() for t in axes.get_xticks() if low <= t <= high), name
            for line, label in zip(*axes.get_legend_handles_labels(), strict=True):
                if hasattr(line, "get_ydata"):
                    assert np.isfinite(line.get_ydata()).any(), (name, label)
    recovery = figures["recovery"].axes[0]
    assert "undefined" in recovery.texts[0].get_text(), "one seed has no standard error"
    assert len(figures) == 7


def test_numbers_of_one_seed_are_not_said_to_have_a_standard_error(tiny, tmp_path):
    assert first_results(tiny).title == "noise-free squared error"
    page = report.write([report.content_of(tiny)] * 2, tmp_path / "page.html").read_text()
    assert "Numbers are means; losses" in page
    assert "1 seed\n" in page
    assert "standard error" not in page
