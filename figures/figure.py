"""The command line of every figure of the gallery. Reads figures/data only; trains nothing."""

import sys
from pathlib import Path

from implicit_inference.runs import process

PROGRAM = Path(sys.argv[0])
if PROGRAM.resolve().parent == Path(__file__).resolve().parent:  # a figure is what runs
    process.begin(f"figures/{PROGRAM.name}")

from implicit_inference.config.flags import Parser
from implicit_inference.show.notation import Notation
from implicit_inference.study.gallery import Draw, save
from implicit_inference.worlds import described

FIGURES = Path(__file__).parent
NAMES = Notation(described("regression"))
ERROR = NAMES.loss


def main(table: str, draw: Draw, name: str | None = None) -> int:
    """Draws one figure from an experiment's table into figures/SCALE/NAME.png; most are named after it."""
    name = name or table
    parser = Parser(prog=f"figures/{name}.py", allow_abbrev=False)
    parser.add_argument("--scale", choices=("smoke", "laptop", "workstation", "paper"), default="laptop")

    def command() -> int:
        options = parser.parse_args()
        data = FIGURES / "data" / options.scale / f"{table}.csv"
        print(save(draw, data, FIGURES / options.scale / f"{name}.png"))
        return 0

    return process.run(f"figures/{name}.py", command)
