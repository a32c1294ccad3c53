"""The picture of the first page: what comes back in both worlds, from the networks that come with the package."""

import hashlib
import sys

from figure import FIGURES

from implicit_inference.measure.lookup import Table
from implicit_inference.runs import process, zoo
from implicit_inference.runs.files import write_whole
from implicit_inference.show.answer import slopes
from implicit_inference.show.drawing import Figure, legend_below, rendered, style

PANELS = {
    "zoo/demo": ("Regression: few exemplars of a forgotten task", "early"),
    "zoo/language-demo": ("Languages: many exemplars of a new task", "late"),
}
"""probe of the zoo -> (title, range of positions)"""


def draw(tables: dict[str, Table]) -> Figure:
    figure = Figure(figsize=(9.5, 3.7))
    for axes, (name, (title, where)) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        slopes(axes, tables[name], where)
        axes.set(title=title)
    legend_below(figure)
    figure.suptitle(
        "Fine-tuning, and what a conjugate prompt brings back (bars: ± 1 standard error over seeds)", x=0.01, ha="left"
    )
    return figure


def main() -> int:
    digest, tables = hashlib.sha256(), {}
    for name in PANELS:
        run = zoo.probe_of(name)
        digest.update(run.read("table.parquet"))
        tables[name] = Table(run.read_table("table.parquet"), run.config())
    with style():
        write_whole(FIGURES / "front.png", rendered(draw(tables), "png", digest.hexdigest()))
    print(FIGURES / "front.png")
    return 0


if __name__ == "__main__":
    sys.exit(process.run("figures/front.py", main))
