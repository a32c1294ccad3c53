"""Imports point one way; the machinery knows no world; files and rooms stay small; docstrings can be read alone."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from implicit_inference.worlds import WORLDS

PACKAGE = Path(__file__).parent.parent / "implicit_inference"
ORDER = (
    "keys < pytrees < worlds < config < bayes < regression, language < network < runs < training < measure"
    " < show < engines < sweeps < study < bench < lm < finished < api < job < cli < __main__"
)
ROOMS = re.findall(r"\w+", ORDER)
"""Imports point from right to left, never the other way."""

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


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    room = ROOMS.index(module.split(".")[0])
    for other in imported(MODULES[module]):
        assert ROOMS.index(other.split(".")[0]) <= room, f"{module} imports {other}"


MACHINERY = (
    "network",
    "runs",
    "training",
    "measure",
    "show",
    "study",
    "engines",
    "sweeps",
    "job",
    "cli",
    "api",
    "worlds",
    "bayes",
    "config",
)


@pytest.mark.parametrize("module", [module for module in MODULES if module.split(".")[0] in MACHINERY])
def test_the_machinery_never_imports_a_world(module):
    worlds = {folder.rpartition(".")[2] for folder in WORLDS.values()}
    assert not {other for other in imported(MODULES[module]) if other.split(".")[0] in worlds}


def test_no_module_imports_itself_by_way_of_others():
    graph = {module: {other for other in imported(path) if other in MODULES} for module, path in MODULES.items()}
    assert tuple(TopologicalSorter(graph).static_order())


def test_a_room_holds_ten_files_at_most():
    for folder in PACKAGE.iterdir():
        names = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(names) <= 10, f"{folder.name}: {len(names)}"


def test_only_the_network_knows_flax():
    for module, path in MODULES.items():
        if not module.startswith("network."):
            assert not re.search(r"^\s*(import|from) flax", path.read_text(), re.MULTILINE), module


def test_the_streams_of_the_machinery_are_members_of_an_enumeration():
    for module, path in MODULES.items():
        if module.split(".")[0] in (*MACHINERY, "finished", "bench"):
            assert not re.search(r"keys\.(stream|named)\([^()]*f?\"", path.read_text()), module


def test_no_module_grows_too_long():
    for module, path in MODULES.items():
        assert len(path.read_text().splitlines()) <= 300, module


OPENINGS = re.compile(r"(What|Who|Of|The same|As|On)\b")
FOLDERS = ("implicit_inference", "experiments", "figures", "tests")
SOURCES = [path for folder in FOLDERS for path in sorted((PACKAGE.parent / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_docstrings_can_be_read_alone(path):
    """A hover shows a docstring without what stands before it; those beneath a constant or a field count, too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            assert not OPENINGS.match(node.value.value.strip()), f"line {node.lineno}"
