"""The table of a sweep: the rows of every finished run, with the varied fields as columns; written run by run."""

import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from implicit_inference.config.changes import fields_of, value_of
from implicit_inference.config.fields import Config
from implicit_inference.config.identity import rests_on, run_id
from implicit_inference.measure.formulas import over_seeds
from implicit_inference.runs.store import Run, StoreError, damaged, interpreted
from implicit_inference.sweeps.axes import Sweep

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 2**18
"""Rows that are held before they are written."""

NUMBER, WORD, COUNT = pa.float64(), pa.string(), pa.int64()
LABELS = {"seed": COUNT, "quantity": WORD, "split": WORD, "family": WORD, "predictor": WORD, "conjugation": WORD}
PLACES = {"strength": NUMBER, "position": COUNT, "range": WORD, "bin": COUNT}
MEAN = {"mean": NUMBER, "stderr": NUMBER}
COLUMNS = {
    "probe": LABELS | PLACES | {"n": COUNT} | MEAN,
    "summary": {"number": WORD} | MEAN,
    "training": {"stage": WORD, "step": COUNT, "seed": COUNT, "family": WORD, "predictor": WORD, "mean": NUMBER},
}
"""measure -> the columns of its rows"""

SECTIONS = ("excess", "forgetting", "gain", "recovery", "effective_prior", "attribution")
"""The parts of a probe's summary whose numbers stand in the table of the measure `summary`."""

DRAWN = {
    "forgetting.early": "forgetting, early positions",
    "recovery.early.net_of_pretrained": "net recovered fraction, early positions",
}
"""The numbers of a probe that the page draws -> their labels."""


class Point(NamedTuple):
    """One run of a sweep, for the page: where it stands on each axis, and what is drawn of it."""

    places: tuple[tuple[Any, ...], ...]
    id: str
    drawn: tuple[dict[str, Any], ...]
    """For each of the quantities `drawn_of`, its mean and standard error over seeds; None where it is undefined."""


def write(sweep: Sweep, runs: Path, folder: Path) -> tuple[list[Point], dict[str, str]]:
    """Writes table.parquet and table.csv of all runs that are finished.

    Returns their points, and the runs that are finished and cannot be read, with the reason. The rows of few runs are
    held at once.
    """
    varied = {path: _type(fields_of(sweep.start.world)[path][0]) for path in sweep.paths}
    flat = {path: WORD if pa.types.is_list(kind) else kind for path, kind in varied.items()}
    schema, as_text = (pa.schema([*columns.items(), *COLUMNS[sweep.measure].items()]) for columns in (varied, flat))
    points, unreadable = list[Point](), dict[str, str]()

    def tables() -> Iterator[pa.Table]:
        for places, config in zip(sweep.places(), sweep.configs(), strict=True):
            found = {stage: Run(runs / run_id(stage, config)) for stage in _read_of(sweep, config)}
            last = [*found.values()][-1]
            try:
                if all(run.finished for run in found.values()):
                    summary = _summary(found["probe"]) if "probe" in found else {}
                    rows = pa.concat_tables(_rows(sweep.measure, found, summary))
                    points.append(Point(places, last.id, _drawn(last, summary)))
                    values = (value for place in places for value in place)
                    columns = [
                        pa.repeat(pa.array([v], kind)[0], len(rows))
                        for v, kind in zip(values, varied.values(), strict=True)
                    ]
                    yield pa.table(columns + rows.columns, schema=schema)
            except StoreError as error:
                unreadable[last.id] = str(error)

    with (
        replaced(folder / "table.parquet") as parquet,
        replaced(folder / "table.csv") as text,
        pq.ParquetWriter(parquet, schema) as whole,
        pyarrow.csv.CSVWriter(text, as_text) as plain,
    ):
        for table in _joined(tables()):
            whole.write_table(table, row_group_size=AT_ONCE)
            plain.write_table(_flat(table, as_text))
    return points, unreadable


def frame(sweep: Sweep, folder: Path) -> "pd.DataFrame":
    """The table of a sweep as a data frame; lists of a varied field as tuples."""
    found = pq.read_table(folder / "table.parquet", use_threads=False).to_pandas()
    for path in sweep.paths:
        if isinstance(value_of(sweep.start, path), list):
            found[path] = found[path].map(tuple)
    return found


def drawn_of(sweep: Sweep) -> tuple[str, ...]:
    """The quantities that the page draws of every run."""
    if "probe" in sweep.stages:
        return tuple(DRAWN.values())
    return (f"loss above exact Bayes after {sweep.stages[-1]}",)


def _read_of(sweep: Sweep, config: Config) -> tuple[str, ...]:
    """The stages that the table of a sweep is read from: a finished probe stands for all that it rests on."""
    return rests_on(sweep.stages, config) if sweep.measure == "training" else ("probe",)


def _summary(probe: Run) -> dict[str, dict[str, Any]]:
    """Reads the headline numbers of a probe: {name such as recovery.early: mean and standard error}."""
    result, found = probe.read_json("result.json"), dict[str, dict[str, Any]]()

    def add(name: str, part: Any) -> None:
        if isinstance(part, dict):
            if "mean" in part and "all" not in part:
                found[name] = part
            for key, value in part.items():
                if key != "by_strength":
                    add(f"{name}.{key}", value)

    with interpreted(probe.path("result.json")):
        for section in SECTIONS:
            add(section, result["summary"][section])
        if missing := set(DRAWN) - found.keys():
            raise ValueError(f"{min(missing)} is missing")
    return found


def _drawn(last: Run, summary: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The values of `drawn_of` for one run, of whose stages this is the last."""
    if summary:
        return tuple(summary[name] for name in DRAWN)
    records = last.read_table("training.parquet")
    with interpreted(last.path("training.parquet")):
        end = max(record["step"] for record in records)
        losses: dict[str, dict[int, list[float]]] = {"network": {}, "bayes": {}}
        for record in records:
            if record["step"] == end:
                losses[record["predictor"]].setdefault(record["seed"], []).append(record["mean"])
        network, bayes = ([np.mean(by_family) for by_family in of.values()] for of in losses.values())
        over = over_seeds(np.subtract(network, bayes))
        return ({"mean": over.mean, "stderr": over.stderr if math.isfinite(over.stderr) else None},)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Gives a temporary path, which takes the place of `path` at the end, whole."""
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _rows(measure: str, found: dict[str, Run], summary: dict[str, dict[str, Any]]) -> Iterator[pa.Table]:
    """Reads what is measured of a run: tables with the columns of the measure."""
    schema = pa.schema([*COLUMNS[measure].items()])
    if measure == "probe":
        yield _stored(found["probe"], "table.parquet", schema)
    elif measure == "summary":
        records = [{"number": name} | {key: of[key] for key in MEAN} for name, of in summary.items()]
        yield pa.Table.from_pylist(records, schema)
    else:
        for stage, run in found.items():
            if stage != "probe":
                rows = _stored(run, "training.parquet", schema.remove(0))
                yield rows.add_column(0, schema.field(0), pa.repeat(pa.scalar(stage), len(rows)))


def _stored(run: Run, name: str, schema: pa.Schema) -> pa.Table:
    content = run.read(name)
    try:
        table = pq.read_table(pa.BufferReader(content), use_threads=False, pre_buffer=False)
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        raise damaged(run.path(name), error) from error


def _joined(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Joins tables of few rows into large ones."""
    held, rows = list[pa.Table](), 0
    for table in tables:
        held.append(table)
        rows += len(table)
        if rows >= AT_ONCE:
            yield pa.concat_tables(held)
            held, rows = [], 0
    if held:
        yield pa.concat_tables(held)


def _flat(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with lists as text, which CSV can hold."""
    columns = [
        pa.array([", ".join(map(str, value)) for value in column.to_pylist()])
        if pa.types.is_list(column.type)
        else column
        for column in table.columns
    ]
    return pa.table(columns, schema=schema)


def _type(kind: Any) -> pa.DataType:
    """The type of a column with the values of a field."""
    if get_origin(kind) is tuple:
        return pa.list_(_type(get_args(kind)[0]))
    return {int: COUNT, float: NUMBER}.get(kind, WORD)
