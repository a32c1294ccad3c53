import subprocess
import sys

from implicit_inference.bayes.attribution import GATE_EDGES
from implicit_inference.config.changes import fields_of
from implicit_inference.measure.formulas import CLOSENESS_EDGES
from implicit_inference.show import notation
from implicit_inference.worlds import described

NAMES = notation.Notation(described("regression"))


def test_symbols_are_of_fields_that_exist():
    paths = set(fields_of("regression"))
    assert set(notation.SYMBOLS) <= paths
    assert {word for word in NAMES.world.words if "." in word} <= paths


def test_names_are_written_out():
    assert NAMES.conjugation("label_scale", 2.0) == "labels × 2"
    assert NAMES.conjugation("identity") == "as they are"
    assert NAMES.conjugation("input_mirror", 1.5) == "input mirror 1.5"
    assert NAMES.predictor("ridge_of_mine") == "ridge of mine"
    assert NAMES.field("tasks.dim") == "d (tasks.dim)"
    assert NAMES.field("tasks.new") == "tasks.new"
    assert notation.estimate({"mean": 1.0, "stderr": None}) == "1.000"


def test_a_bin_has_a_name():
    for edges in (CLOSENESS_EDGES, GATE_EDGES):
        names = notation.bins(edges)
        assert len(names) == len(set(names)) == len(edges) + 1
    assert notation.bins((0.0, 2.0)) == ["< 0", "0 to 2", "≥ 2"]


def test_it_needs_neither_jax_nor_matplotlib():
    code = "import sys, implicit_inference.show.notation\nsys.exit('jax' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
