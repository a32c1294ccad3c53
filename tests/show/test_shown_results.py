"""A probe's results are written once, whoever shows them."""

import io

import pytest
from made_up import CONFIG, probe_run, table
from rich.console import Console

from implicit_inference.measure.lookup import Table
from implicit_inference.measure.summary import summarise
from implicit_inference.show.results import COLUMNS, DEFINITIONS, results, results_of
from implicit_inference.show.terminal import first_results


@pytest.fixture(scope="module")
def found():
    return results(Table(table(), CONFIG), summarise(table(), CONFIG))


def test_results_are_flat_rows_of_text(found):
    rows = [result.cells() for result in found]
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert len({row[:4] for row in rows}) == len(rows)
    assert ("loss", "Gaussian", "fine-tuned", "labels × 2", *3 * ("1.200 ± 0.058",)) in rows
    off = "rise of the distance off the line"
    assert (off, "Gaussian", "fine-tuned", "as they are", *3 * ("0.250 ± 0.000",)) in rows


def test_what_is_defined_is_there(found):
    assert set(DEFINITIONS) <= {result.quantity for result in found}


def test_the_terminal_shows_the_first_results_and_no_others(tmp_path):
    run = probe_run(tmp_path)
    first = [result for result in results_of(run) if result.section]
    narrow, wide = (printed(first_results(run), width) for width in (80, 200))
    assert max(map(len, narrow)) <= 80
    shown = [tuple(cell.strip() for cell in line.split("│")[1:4]) for line in wide if line.count("│") == 4]
    labels = [result.predictor if result.quantity == "loss" else result.quantity for result in first]
    expected = list(zip(labels, (r.text("early") for r in first), (r.text("late") for r in first), strict=True))
    assert [line for line in shown if line[1]] == expected
    assert [line[0] for line in shown if not line[1]] == list(dict.fromkeys(result.section for result in first))


def printed(table, width):
    text = io.StringIO()
    Console(file=text, width=width).print(table)
    return text.getvalue().splitlines()
