import subprocess
import sys

import numpy as np
import pytest

from implicit_inference.measure.formulas import Gate
from implicit_inference.measure.records import binned_records, gate_records, position_records


def test_records_hold_means_and_standard_errors_over_prompts():
    errors = np.arange(24.0).reshape(2, 3, 4)
    records = position_records(errors, (7, 9), predictor="x")
    assert len(records) == 8
    cell = next(record for record in records if record["seed"] == 9 and record["position"] == 2)
    values = errors[1, :, 2]
    assert cell["mean"] == values.mean()
    assert cell["stderr"] == values.std(ddof=1) / np.sqrt(3)
    assert (cell["n"], cell["predictor"]) == (3, "x")


def test_bins_are_half_open_and_the_thin_ones_are_left_out():
    errors = np.array([[[1.0, 2.0, 3.0, 5.0, 8.0]]])
    where = np.array([[[-1.0, -0.5, 0.0, 0.5, 9.0]]])
    records = binned_records(errors, where, (0.0, 1.0), (3,), predictor="x")
    assert [(record["bin"], record["n"], record["mean"]) for record in records] == [(0, 2, 1.5), (1, 2, 4.0)]


def test_a_gate_is_a_record_for_each_bin_that_has_one():
    gate = Gate(np.array([0.5, np.nan]), np.array([0.1, np.nan]), np.array([7, 1]))
    assert gate_records(gate, 3, predictor="x") == [
        {"predictor": "x", "seed": 3, "bin": 0, "n": 7, "mean": 0.5, "stderr": 0.1}
    ]


@pytest.mark.parametrize("module", ["measure.summary", "show.plots", "show.report"])
def test_what_reads_tables_does_not_import_jax(module):
    code = f"import sys, implicit_inference.{module}\nsys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
