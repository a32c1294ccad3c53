"""Imports point down only."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "implicit_inference"
LEVELS = [
    {"bench.pytorch", "bench.timing", "chunks", "environment", "errors", "notation", "reports"},
    {"files", "keys", "meeting", "process", "runtime", "sections", "regression.pairs", "regression.each"},
    {"regression.precision", "regression.shapes"},
    {"checks", "tables", "regression.filters", "regression.tasks"},
    {"config"},
    {"flags", "lineage", "memory"},
    {"regression.prompts", "adapt", "metrics", "optimize", "parallel"},
    {"rows"},
    {"model", "controls", "regression.bayes", "regression.conjugate", "regression.continuations"},
    {"regression.correlated", "regression.features", "regression.heavy_tails", "regression.own_noise"},
    {"regression.inference", "regression.sharded", "train", "evaluate"},
    {"regression.effective", "regression.orbits", "store"},
    {"drafts"},
    {"hosts", "network", "progress", "world"},
    {"batches", "checkpoints", "penalties", "watching"},
    {"stages"},
    {"run"},
    {"bench.sizes", "sweep", "losses", "exam"},
    {"bench.training", "beliefs", "origin"},
    {"summary"},
    {"probe", "drawing", "compare"},
    {"overview", "plots"},
    {"report"},
    {"bench.suite"},
    {"cli"},
    {"__main__"},
]
LEVEL = {module: level for level, modules in enumerate(LEVELS) for module in modules}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}


def imported(path):
    """The modules of the package that a file names in its imports, at the top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("implicit_inference"):
            inside = node.module.removeprefix("implicit_inference").removeprefix(".")
            for alias in node.names:
                deeper = f"{inside}.{alias.name}".removeprefix(".")
                yield deeper if deeper in MODULES else inside


def test_every_module_has_a_level():
    assert set(MODULES) == set(LEVEL)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_below(module):
    for other in imported(MODULES[module]):
        assert LEVEL[other] < LEVEL[module], f"{module} imports {other}"


def test_only_the_model_knows_flax_and_only_the_world_knows_regression():
    for module, path in MODULES.items():
        if module != "model":
            assert not re.search(r"^\s*(import|from) flax", path.read_text(), re.MULTILINE), module
    for module in ("model", "train", "evaluate", "store", "parallel", "optimize"):
        assert "regression" not in "".join(imported(MODULES[module])), module


def test_no_module_grows_too_long():
    for module, path in MODULES.items():
        assert len(path.read_text().splitlines()) <= 300, module


OPENINGS = re.compile(r"(What|Who|Of|The same|As|On)\b")
FOLDERS = ("implicit_inference", "experiments", "figures", "benchmarks", "tests")
SOURCES = [path for folder in FOLDERS for path in sorted((PACKAGE.parent / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_docstrings_can_be_read_alone(path):
    """A hover shows a docstring without what stands before it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            assert not OPENINGS.match(ast.get_docstring(node) or ""), getattr(node, "name", "the module")
