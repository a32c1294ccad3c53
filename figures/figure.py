"""Parts of every figure of the gallery: its table, its look, its file. Reads figures/data only; trains nothing."""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from implicit_inference.runs import process

PROGRAM = Path(sys.argv[0])
if PROGRAM.resolve().parent == Path(__file__).resolve().parent:  # a figure is what runs
    process.begin(f"figures/{PROGRAM.name}")

import numpy as np
import pyarrow.csv

from implicit_inference.runs.files import write_whole
from implicit_inference.show.drawing import Axes, Figure, legend_below, marker, rendered, style, there, undefined
from implicit_inference.show.notation import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, Look, counted, spread

FIGURES = Path(__file__).parent
COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY, BLACK)
ERROR = "noise-free squared error"

Row = dict[str, Any]


class Table:
    """The rows of one experiment; numbers are read as numbers, empty cells as None."""

    def __init__(self, rows: Sequence[Row]):
        self.rows = rows

    def where(self, **labels: Any) -> "Table":
        """The rows with these labels; dots of field names are written as double underscores."""
        wanted = {name.replace("__", "."): value for name, value in labels.items()}
        return Table([row for row in self.rows if all(row.get(name) == value for name, value in wanted.items())])

    def levels(self, name: str) -> list[Any]:
        """The values of a column, in their order in the table."""
        return list(dict.fromkeys(row[name] for row in self.rows if row.get(name) is not None))

    def groups(self, *names: str) -> list[tuple[Row, "Table"]]:
        """(labels, rows) of every combination of values of these columns, in their order in the table."""
        keys = dict.fromkeys(tuple(row.get(name) for name in names) for row in self.rows)
        return [(dict(zip(names, key, strict=True)), self.where(**dict(zip(names, key, strict=True)))) for key in keys]

    def column(self, name: str) -> np.ndarray:
        """A column of numbers; nan where a cell is empty."""
        return np.array([math.nan if row.get(name) is None else row[name] for row in self.rows], float)

    @property
    def sizes(self) -> str:
        """The n of the table: seeds, and prompts for each family and seed."""
        seeds, prompts = (max(self.levels(name)) for name in ("seeds", "n"))
        return f"{counted(seeds, 'seed')} × {counted(prompts, 'prompt')}{spread(seeds, 'bands and bars')}"


def band(axes: Axes, look: Look, x: Sequence[float] | np.ndarray, rows: Table, shade: float = 0.2) -> None:
    """Mean and a band of one standard error, against x; `shade` 0 leaves the band out."""
    order = np.argsort(np.asarray(x, float))
    x, mean, stderr = np.asarray(x, float)[order], rows.column("mean")[order], rows.column("stderr")[order]
    if not there(mean):
        return
    axes.plot(x, mean, look.line, marker=marker(look, mean), color=look.colour, label=look.label)
    axes.fill_between(x, mean - stderr, mean + stderr, color=look.colour, alpha=shade, linewidth=0)


def bars(axes: Axes, x: np.ndarray, rows: Table, look: Look) -> None:
    """Points with bars of one standard error."""
    if not there(rows.column("mean")):
        return
    axes.errorbar(
        x, rows.column("mean"), yerr=rows.column("stderr"), fmt=look.marker or "o", color=look.colour, label=look.label
    )


def by_seed(axes: Axes, look: Look, x: np.ndarray | float, rows: Table) -> None:
    """The median over seeds against x, of each row or of all, and the seeds, thin: for what needs no mean to exist."""
    x, mean = np.broadcast_to(x, len(rows.rows)), rows.column("mean")
    if not there(mean):
        return
    places = np.unique(x)
    median = [np.median(mean[x == place]) for place in places]
    axes.plot(places, median, look.line, marker=marker(look, np.array(median)), color=look.colour, label=look.label)
    for seed in rows.levels("seed"):
        own = rows.column("seed") == seed
        axes.plot(x[own], mean[own], look.line, marker="_", color=look.colour, linewidth=0.6, alpha=0.6)


def level(axes: Axes, look: Look, rows: Table) -> None:
    """A horizontal line."""
    if there(height := rows.column("mean")[:1]):
        axes.axhline(height[0], color=look.colour, linestyle=look.line, linewidth=1.2, label=look.label)


def zero(axes: Axes, *levels: float) -> None:
    """Thin reference lines."""
    for y in levels or (0.0,):
        axes.axhline(y, color=GREY, linewidth=0.8)


def categories(axes: Axes, names: Sequence[str]) -> np.ndarray:
    """Names along x; returns their places."""
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    return np.arange(len(names))


def finished(figure: Figure, title: str, table: Table, legend: bool = True) -> Figure:
    """Adds the title with what n is, why panels are empty, and one legend below, unless panels have their own."""
    for axes in figure.axes:
        undefined(axes, "no number of it has a value")
    if legend:
        legend_below(figure)
    figure.suptitle(f"{title}\n{table.sizes}", x=0.01, ha="left", fontsize=11)
    return figure


def read(name: str, scale: str, data: Path = FIGURES / "data") -> Table:
    """The table that the experiment of this name has stored."""
    path = data / scale / f"{name}.csv"
    if not path.exists():
        raise SystemExit(f"{path}: there is no such table; python experiments/{name}.py --scale {scale} writes it")
    empty = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    return Table(pyarrow.csv.read_csv(path, convert_options=empty).to_pylist())


def main(table: str, draw: Callable[[Table], Figure], name: str | None = None) -> int:
    """Draw one figure from an experiment's table into figures/SCALE/NAME.png; most are named after it."""
    name = name or table
    parser = argparse.ArgumentParser(prog=f"figures/{name}.py", allow_abbrev=False)
    parser.add_argument("--scale", choices=("smoke", "laptop", "paper"), default="laptop")
    options = parser.parse_args()

    def command() -> int:
        print(save(name, draw, read(table, options.scale), FIGURES / options.scale))
        return 0

    return process.run(f"figures/{name}.py", command)


def save(name: str, draw: Callable[[Table], Figure], table: Table, folder: Path) -> Path:
    """The figure as PNG; returns its path."""
    with style():
        write_whole(folder / f"{name}.png", rendered(draw(table), "png"))
    return folder / f"{name}.png"
