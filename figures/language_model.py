"""Margins of SmolLM2-135M before and after tuning in English, and the dose curve, from figures/data/lm.

`implicit-inference lm probe` writes such tables, as results.csv; docs/lm.md has the commands. Draws, trains nothing.
"""

import hashlib
import sys

import pandas as pd
from figure import FIGURES

from implicit_inference.lm.page import draw
from implicit_inference.runs import process
from implicit_inference.runs.files import write_whole
from implicit_inference.show.drawing import rendered, style

TITLES = {
    "smollm2": "SmolLM2-135M-Instruct, 8 steps on English maths and blanks",
    "smollm2_doses": "SmolLM2-135M-Instruct, by dose of the same update",
}
"""Table and figure -> title."""


def main() -> int:
    for name, title in TITLES.items():
        path = FIGURES / "data" / "lm" / f"{name}.csv"
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
        source = hashlib.sha256(path.read_bytes()).hexdigest()
        with style():
            write_whole(FIGURES / "lm" / f"{name}.png", rendered(draw(table, title), "png", source))
        print(FIGURES / "lm" / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(process.run("figures/language_model.py", main))
