"""Imports point down only."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "implicit_inference"
LEVELS = [
    {"arguments", "bench.pytorch", "bench.timing", "errors"},
    {
        "keys",
        "notation",
        "meeting",
        "process",
        "runtime",
        "sections",
        "regression.pairs",
        "regression.each",
        "regression.precision",
    },
    {"checks", "regression.filters", "regression.tasks"},
    {"config"},
    {"memory"},
    {"regression.prompts", "adapt", "metrics", "optimize", "parallel"},
    {"rows"},
    {"model", "controls", "regression.bayes", "regression.conjugate", "regression.continuations"},
    {"regression.correlated", "regression.features", "regression.heavy_tails", "regression.own_noise"},
    {"regression.inference", "regression.sharded", "train", "evaluate"},
    {"regression.effective", "regression.orbits", "store"},
    {"hosts", "network", "progress", "world"},
    {"batches", "penalties"},
    {"stages"},
    {"run"},
    {"bench.sizes", "sweep", "losses", "exam"},
    {"bench.training", "beliefs", "origin"},
    {"summary"},
    {"probe", "drawing", "compare"},
    {"plots"},
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
    """The modules of the package that a file imports when it runs, at the top or inside a function."""
    tree = ast.parse(path.read_text())
    for_types = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    ignored = {id(inner) for branch in for_types for inner in ast.walk(branch)}
    for node in (n for n in ast.walk(tree) if id(n) not in ignored):
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
        assert len(path.read_text().splitlines()) <= 350, module
