"""How close pretraining comes to exact Bayes in equal time, for settings of the `demo` preset.

Reads figures/data/time_to_result.csv, which `python -m implicit_inference.bench.time_to_result` writes.
"""

import hashlib
import sys

import pyarrow.csv
from figure import FIGURES

from implicit_inference.runs import process
from implicit_inference.runs.files import write_whole
from implicit_inference.show.drawing import Figure, rendered, style
from implicit_inference.show.notation import Look, counted, spread
from implicit_inference.study.panels import COLOURS, band
from implicit_inference.study.results import Results

PANELS = {
    "Optimisers": ("muon", "adam", "adam, rate 1e-3", "adamw"),
    "Tokens and shapes": ("muon", "interleaved", "2 layers", "6 layers", "2 layers of 64"),
    "Batches and schedules": ("muon", "batch 32", "batch 128", "rate 1e-2 (demo)", "constant rate"),
}


def draw(table: Results) -> Figure:
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    for axes, (title, variants) in zip(figure.subplots(1, 3, sharey=True), PANELS.items(), strict=True):
        for colour, variant in zip(COLOURS, variants, strict=False):
            rows = table.where(variant=variant)
            band(axes, Look(variant, colour), rows.column("seconds"), rows)
        axes.set(title=title, xlabel="seconds of stepping, all seeds", yscale="log")
        axes.legend()
    figure.axes[0].set_ylabel("excess over exact Bayes")
    seeds = max(table.levels("n"))
    figure.suptitle(
        f"Noise-free loss above exact Bayes, both families, in equal time\n"
        f"{counted(seeds, 'seed')} × 512 prompts a family{spread(seeds, 'bands')}",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    return figure


def main() -> int:
    data = FIGURES / "data" / "time_to_result.csv"
    rows = pyarrow.csv.read_csv(data).to_pylist()
    with style():
        figure = draw(Results([row | {"mean": row["excess"]} for row in rows]))
        write_whole(
            FIGURES / "time_to_result.png", rendered(figure, "png", hashlib.sha256(data.read_bytes()).hexdigest())
        )
    print(FIGURES / "time_to_result.png")
    return 0


if __name__ == "__main__":
    sys.exit(process.run("figures/time_to_result.py", main))
