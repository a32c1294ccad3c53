"""Excess over exact Bayes against time, from the published recipe in PyTorch to the package's, one change at a time.

Reads figures/data/road_S_curves.csv and road_W_curves.csv, as far as they are there; the command that writes them is
`python -m implicit_inference.bench.road --world S` (or W).
"""

import hashlib
import sys

from figure import FIGURES

from implicit_inference.bench.road.recipes import WORLDS
from implicit_inference.config.errors import UserError, counted
from implicit_inference.runs import process
from implicit_inference.runs.files import write_whole
from implicit_inference.show.drawing import Axes, Figure, legend_below, rendered, style
from implicit_inference.show.notation import Look, spread
from implicit_inference.study.panels import COLOURS, band, zero
from implicit_inference.study.results import Results, read_csv

TABLES = {world: FIGURES / "data" / f"road_{world}_curves.csv" for world in WORLDS}


def draw(tables: dict[str, Results]) -> Figure:
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for axes, (world, table) in zip(panels, tables.items(), strict=True):
        panel(axes, table)
        axes.set(title=f"world {world}", xlabel="seconds, all seeds on all cores", xscale="log", yscale="log")
    panels[0].set_ylabel("excess over exact Bayes")
    legend_below(figure)
    seeds = min(table.seeds for table in tables.values())
    figure.suptitle(
        "Noise-free squared error above exact Bayes, both families, against wall-clock time\n"
        f"{counted(int(seeds), 'seed')} × 512 prompts a family{spread(seeds, 'bands')}; grey: what is timed",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    return figure


def panel(axes: Axes, table: Results) -> None:
    """Draws a line for every run of an arm, as far as all seeds train, and the excesses that are timed."""
    zero(axes, *table.levels("excess"))
    for colour, arm in zip(COLOURS, table.levels("arm"), strict=False):
        label = arm.replace("-", " ") if arm == table.levels("arm")[0] else f"+ {arm.replace('-', ' ')}"
        for _, run in table.where(arm=arm).groups("excess"):
            steps = [rows for _, rows in run.ordered("steps").groups("steps") if len(rows) == table.seeds]
            points = Results.joined(Results(rows.frame.drop(columns="seconds")).reduced() for rows in steps)
            band(axes, Look(label, colour), [float(rows.column("seconds").mean()) for rows in steps], points)
            label = ""


def main() -> int:
    there = {world: path for world, path in TABLES.items() if path.exists()}
    if not there:
        raise UserError(f"{TABLES['S']}: there is no such table; python -m implicit_inference.bench.road writes it")
    with style():
        figure = draw({world: read_csv(path) for world, path in there.items()})
        source = hashlib.sha256(b"".join(path.read_bytes() for path in there.values())).hexdigest()
        write_whole(FIGURES / "road.png", rendered(figure, "png", source))
    print(FIGURES / "road.png")
    return 0


if __name__ == "__main__":
    sys.exit(process.run("figures/road.py", main))
