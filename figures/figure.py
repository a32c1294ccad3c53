"""The command line of every figure of the gallery. Reads figures/data only; trains nothing."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from implicit_inference.runs import process

PROGRAM = Path(sys.argv[0])
if PROGRAM.resolve().parent == Path(__file__).resolve().parent:  # a figure is what runs
    process.begin(f"figures/{PROGRAM.name}")

from implicit_inference.runs.files import write_whole
from implicit_inference.show.drawing import Figure, rendered, style
from implicit_inference.show.notation import Notation
from implicit_inference.study.results import Results, read_csv
from implicit_inference.worlds import described

FIGURES = Path(__file__).parent
NAMES = Notation(described("regression"))
ERROR = NAMES.loss


def main(table: str, draw: Callable[[Results], Figure], name: str | None = None) -> int:
    """Draw one figure from an experiment's table into figures/SCALE/NAME.png; most are named after it."""
    name = name or table
    parser = argparse.ArgumentParser(prog=f"figures/{name}.py", allow_abbrev=False)
    parser.add_argument("--scale", choices=("smoke", "laptop", "paper"), default="laptop")
    options = parser.parse_args()

    def command() -> int:
        print(save(name, draw, read_csv(FIGURES / "data" / options.scale / f"{table}.csv"), FIGURES / options.scale))
        return 0

    return process.run(f"figures/{name}.py", command)


def save(name: str, draw: Callable[[Results], Figure], table: Results, folder: Path) -> Path:
    """The figure as PNG; returns its path."""
    with style():
        write_whole(folder / f"{name}.png", rendered(draw(table), "png"))
    return folder / f"{name}.png"
