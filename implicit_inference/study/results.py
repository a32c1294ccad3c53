"""The table of an experiment, looked up: one way for claims and for figures."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from implicit_inference.config.errors import UserError, counted
from implicit_inference.measure.formulas import Estimate, Values, over_seeds
from implicit_inference.measure.lookup import prior_odds
from implicit_inference.runs.files import write_whole
from implicit_inference.runs.store import Record
from implicit_inference.show.notation import estimate as as_text
from implicit_inference.show.notation import spread

NUMBERS = ("seed", "mean", "stderr", "seeds")
BY_SEED = "prior_"
"""Quantities that stay by seed: log odds need not have a mean."""


class Results:
    """The rows of an experiment as a data frame: a value a seed, or an estimate for all seeds (`seeds` says how many).

    Dots of field names are written as double underscores: `pretrain__discrete_prob=0.5`.
    """

    def __init__(self, records: Iterable[Record] | pd.DataFrame):
        self.frame = records if isinstance(records, pd.DataFrame) else pd.DataFrame(list(records))

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, **labels: Any) -> Results:
        """The rows with these labels; None: the column is empty."""
        chosen = np.ones(len(self.frame), bool)
        for name, label in labels.items():
            column = name.replace("__", ".")
            values = self.frame.get(column, pd.Series(None, self.frame.index, object))
            same = values.isna() if label is None else [value == label for value in values]
            chosen &= np.asarray(same, bool)
        return Results(self.frame[chosen])

    def given(self, column: str) -> Results:
        """The rows that have a value in a column."""
        return Results(self.frame[self.frame[column].notna()])

    def values(self, **labels: Any) -> Values:
        """The value of each seed [S], in their order; raises LookupError unless there is one row a seed."""
        frame = self.where(**labels).frame.sort_values("seed")
        if not len(frame) or frame["seed"].isna().any() or frame["seed"].duplicated().any():
            raise LookupError(f"{labels} match {counted(len(frame), 'row')}, not one a seed")
        return frame["mean"].to_numpy(np.float64)

    def estimate(self, **labels: Any) -> Estimate:
        """The mean over seeds, or the estimate that one row holds."""
        frame = self.where(**labels).frame
        if len(frame) == 1 and not pd.isna(frame.get("seeds", pd.Series([np.nan])).iloc[0]):
            return Estimate(float(frame["mean"].iloc[0]), float(frame["stderr"].iloc[0]))
        return over_seeds(self.values(**labels))

    def prior_odds(self, **labels: Any) -> str:
        """The prior log odds inferred by a predictor, as text; said where they have no limit."""
        return as_text(prior_odds(*(self.values(**labels, quantity=f"prior_{part}") for part in ("logit", "bound"))))

    def levels(self, name: str) -> list[Any]:
        """The values of a column, in their order in the table."""
        return list(map(_plain, self.frame[name].dropna().drop_duplicates())) if name in self.frame else []

    def groups(self, *names: str) -> list[tuple[Record, Results]]:
        """(labels, rows) of every combination of values of these columns, in their order in the table."""
        if not names:
            return [({}, self)]
        found = []
        for key, part in self.frame.groupby([*names], dropna=False, sort=False):
            plain = [_plain(label) for label in key]
            found.append((dict(zip(names, plain, strict=True)), Results(part)))
        return found

    def column(self, name: str) -> Values:
        """A column of numbers; nan where a cell is empty."""
        return self.frame[name].to_numpy(np.float64) if name in self.frame else np.full(len(self.frame), np.nan)

    def ordered(self, name: str) -> Results:
        """The rows, sorted by a column."""
        return Results(self.frame.sort_values(name, kind="stable"))

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return max([len(self.levels("seed")), *self.levels("seeds")])

    @property
    def counts(self) -> str:
        """The n of the table: seeds, and prompts for each family and seed."""
        return f"{counted(int(self.seeds), 'seed')} × {counted(int(max(self.levels('n'))), 'prompt')}"

    @property
    def sizes(self) -> str:
        """The n of the table, and the spread that is drawn."""
        return self.counts + spread(int(self.seeds), "bands and bars")

    def reduced(self) -> Results:
        """Mean and standard error over seeds of what has a value a seed; other rows as they are."""
        frame = self.frame.reset_index(drop=True)
        mean = frame.get("seeds", pd.Series(np.nan, frame.index)).isna()
        mean &= ~frame["quantity"].astype(str).str.startswith(BY_SEED) if "quantity" in frame else True
        labels = [name for name in frame if name not in NUMBERS]
        parts = [frame[~mean]]
        for _, part in frame[mean].groupby(labels, dropna=False, sort=False):
            found = over_seeds(part["mean"].to_numpy(np.float64))
            numbers = {"mean": found.mean, "stderr": found.stderr, "seeds": len(part), "seed": None}
            parts.append(part.iloc[:1].assign(**numbers))
        joined = pd.concat([part for part in parts if len(part)]).sort_index()
        return Results(joined.dropna(axis="columns", how="all"))

    @classmethod
    def joined(cls, parts: Iterable[Results]) -> Results:
        """The rows of all parts, one after the other."""
        return cls(pd.concat([part.frame for part in parts]))


def _plain(label: Any) -> Any:
    """A label as Python has it: None for an empty cell, whole numbers without a point."""
    if not isinstance(label, tuple) and pd.isna(label):
        return None
    return int(label) if isinstance(label, float) and label.is_integer() else label


def write_csv(results: Results, path: Path) -> None:
    """Writes a table as CSV: numbers with five significant digits, whole ones without a point."""
    frame = results.frame.copy()
    for name in frame:
        values = frame[name]
        if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
            frame[name] = values.astype("Int64")
    text = io.StringIO(newline="")
    frame.to_csv(text, index=False, float_format="%.5g", lineterminator="\n")
    write_whole(path, text.getvalue().encode())


def read_csv(path: Path) -> Results:
    """Reads the table that an experiment has stored, a row a seed; raises UserError if there is none."""
    if not path.exists():
        raise UserError(
            f"{path}: there is no such table; python experiments/{path.stem}.py --scale {path.parent.name} writes it"
        )
    return Results(pd.read_csv(path, keep_default_na=False, na_values=["", "nan"]))
