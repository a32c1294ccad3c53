"""Experiments have valid configurations at every scale and end as commands do; figures draw from stored tables."""

import ast
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from scipy import stats
from scripts import DRAWN, EXPERIMENTS, FIGURES, NAMES, ROOT, load

from implicit_inference.config.changes import override
from implicit_inference.config.errors import Terminated, UserError
from implicit_inference.measure.formulas import Estimate
from implicit_inference.runs import zoo
from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import Look
from implicit_inference.study import panels
from implicit_inference.study.claims import judged
from implicit_inference.study.results import Results, read_csv

STORED = sorted(path.relative_to(FIGURES / "data") for path in (FIGURES / "data").glob("*/*.csv"))


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_imports_jax_after_what_tells_that_it_cannot_be(name):
    imports = [line for line in (EXPERIMENTS / f"{name}.py").read_text().splitlines() if re.match("import|from", line)]
    first = next(i for i, line in enumerate(imports) if line.startswith("from experiment "))
    assert not [line for line in imports[:first] if re.match(r"(import|from) (jax|implicit_inference)\b", line)]


def test_an_experiment_in_a_wrong_environment_is_one_line():
    done = subprocess.run(
        [sys.executable, EXPERIMENTS / "tradeoff.py"],
        env=os.environ | {"JAX_ENABLE_X64": "maybe"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("experiments/tradeoff.py: ")
    assert "JAX_ENABLE_X64 = 'maybe'" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_has_a_question_and_valid_configurations_at_every_scale(name):
    module = load(EXPERIMENTS, name)
    assert f"python experiments/{name}.py --scale {'|'.join(module.EXPERIMENT.variants)}" in module.__doc__
    assert "?" in module.__doc__.split("\n\n")[0]
    assert module.EXPERIMENT.name == name
    assert {"smoke", "laptop"} <= module.EXPERIMENT.variants.keys()
    for scale, variants in module.EXPERIMENT.variants.items():
        base = sys.modules["experiment"].base_of(module.EXPERIMENT, scale)
        configs = [override(base, variant) for variant in variants]
        assert len(set(configs)) == len(variants), scale


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_is_sixty_lines_of_code_at_most(name):
    """Docstrings, blank lines, and imports apart."""
    tree = ast.parse((EXPERIMENTS / f"{name}.py").read_text())
    apart = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    apart += [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    code = {line for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr) for line in span(node)}
    assert len(code - {line for node in apart for line in span(node)}) <= 60


def span(node):
    """The lines of a node that hold code: the first and the last, and all that its parts are on."""
    return (node.lineno, node.end_lineno) if hasattr(node, "body") else range(node.lineno, node.end_lineno + 1)


@pytest.mark.parametrize(
    ("end", "code", "line"),
    [
        (Terminated(), 143, "terminated; the same command resumes"),
        (KeyboardInterrupt(), 130, "interrupted; the same command resumes"),
        (PermissionError(13, "Permission denied", "a/b"), 2, "a/b: Permission denied"),
        (UserError("a wrong field"), 2, "a wrong field"),
    ],
)
def test_an_experiment_ends_as_the_command_line_does(end, code, line, capsys, monkeypatch):
    module = load(EXPERIMENTS, "tradeoff")

    def ended(*arguments):
        raise end

    monkeypatch.setattr("implicit_inference.study.experiment.sweep", ended)
    assert sys.modules["experiment"].main(module.EXPERIMENT, []) == code
    assert capsys.readouterr().err == f"experiments/tradeoff.py: {line}\n"


def test_a_figure_of_one_seed_and_of_lone_or_missing_numbers_says_so():
    one = Results([{"seeds": 1, "n": 9, "x": 2, "mean": 1.0, "stderr": None}])
    two = Results([{"seeds": 2, "n": 9, "x": 2, "mean": None, "stderr": None}])
    assert one.sizes == "1 seed × 9 prompts"
    assert two.sizes == "2 seeds × 9 prompts; bands and bars: ± 1 standard error over seeds"
    picture = Figure()
    lone, missing, level = picture.subplots(1, 3)
    panels.band(lone, Look("lone", "red"), one.column("x"), one)
    for draw in (panels.band, lambda axes, look, x, records: panels.bars(axes, x, records, look), panels.by_seed):
        draw(missing, Look("missing", "red"), two.column("x"), two)
    panels.zero(missing, 0.0, 1.0)
    panels.level(level, Look("level", "red"), one)
    panels.finished(picture, "title", one)
    assert lone.lines[0].get_marker() == "o"
    assert [text.get_text() for text in missing.texts] == ["undefined: no number of it has a value"]
    assert not lone.texts
    assert not level.texts
    assert {text.get_text() for text in picture.legends[0].get_texts()} == {"lone", "level"}


def test_claims_are_judged_by_intervals_and_primary_ones_by_holm():
    """One-sided p of 0.006, 0.010, 0.02 and 0.3: three intervals lie above 0; 0.025 / 4, 3, 2, 1 leave the first."""
    seeds, wanted = 5, (0.02, 0.006, 0.3, 0.010)
    estimates = [Estimate(float(stats.t.isf(p, seeds - 1)), 1.0) for p in wanted]
    claims = [(str(p), [e], "") for p, e in zip(wanted, estimates, strict=True)]
    undefined = ("undefined", [estimates[1], Estimate(float("nan"), float("nan"))], "")
    below = ("below", [estimates[1], Estimate(-9.0, 1.0)], "")
    described = ("a description", [], "")
    found = judged([*claims, undefined, below, described], seeds)
    words = ["supported", "supported", "undecided", "supported", "undecided", "refuted", "not asked"]
    assert [f.verdict for f in found] == words
    mean, low, high = found[0].effects[0]
    assert (low + high) / 2 == pytest.approx(mean)
    assert low == pytest.approx(mean - stats.t.isf(0.025, seeds - 1))
    corrected = judged([*claims, described], seeds, primary=True)
    assert [f.verdict for f in corrected] == ["undecided", "supported", "undecided", "undecided", "not asked"]
    assert {f.comparisons for f in corrected} == {4}
    assert [f.verdict for f in judged(claims[:1], seeds, primary=True)] == ["supported"]
    assert [f.verdict for f in judged(claims[:1], 1)] == ["undecided"], "one seed has no interval"


def test_a_missing_table_says_which_command_writes_it(tmp_path):
    with pytest.raises(UserError, match=r"python experiments/replay\.py --scale laptop"):
        read_csv(tmp_path / "laptop" / "replay.csv")


def test_make_runs_every_experiment_and_the_gallery_shows_each():
    listed = re.search(r"EXPERIMENTS := ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text())[1].replace("\\", "").split()
    assert sorted(listed) == sorted(set(DRAWN.values())) == NAMES


@pytest.mark.parametrize("figure", DRAWN)
@pytest.mark.parametrize("scale", sorted({path.parent.name for path in STORED}))
def test_a_figure_draws_from_its_stored_table_with_labelled_axes_and_n(figure, scale):
    table = Path(scale, f"{DRAWN[figure]}.csv")
    if table in STORED:
        script = load(FIGURES, figure)
        drawn = script.draw(read_csv(FIGURES / "data" / table))
        assert re.search(r"\d+ seeds × \d+ prompts", drawn.get_suptitle())
        assert all(axes.lines or axes.containers for axes in drawn.axes)
        assert any(axes.get_xlabel() or axes.get_xticklabels() for axes in drawn.axes)
        assert drawn.axes[0].get_ylabel() or drawn.axes[0].get_yticklabels()
        for axes in drawn.axes:
            for axis in (axes.xaxis, axes.yaxis):
                if re.search(r"step$|\brank\b|exemplars|batches", axis.get_label_text()):
                    assert all(float(tick).is_integer() for tick in axis.get_majorticklocs()), axis.get_label_text()


def source_of(picture):
    """The digest of the table that a PNG says it was drawn from."""
    with Image.open(picture) as image:
        return image.text["Source"]


PICTURES = sorted(path.relative_to(FIGURES) for path in FIGURES.glob("*/*.png"))


@pytest.mark.parametrize("picture", PICTURES, ids=str)
def test_a_picture_is_drawn_from_the_table_beside_it(picture):
    table = FIGURES / "data" / picture.parent / f"{DRAWN.get(picture.stem, picture.stem)}.csv"
    assert source_of(FIGURES / picture) == hashlib.sha256(table.read_bytes()).hexdigest()


@pytest.mark.parametrize("picture", sorted(path.stem for path in FIGURES.glob("*.png") if path.stem != "front"))
def test_a_picture_of_the_bench_is_drawn_from_its_tables(picture):
    names = (f"{picture}.csv", f"{picture}_*_curves.csv")
    tables = b"".join(path.read_bytes() for name in names for path in sorted((FIGURES / "data").glob(name)))
    assert source_of(FIGURES / f"{picture}.png") == hashlib.sha256(tables).hexdigest()


def test_the_first_picture_is_drawn_from_the_networks_that_come_with_the_package():
    tables = b"".join(zoo.probe_of(f"{zoo.PREFIX}{preset}").read("table.parquet") for preset in zoo.KEPT)
    assert source_of(FIGURES / "front.png") == hashlib.sha256(tables).hexdigest()
