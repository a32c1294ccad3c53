"""Interventions on the fine-tuned network: what each undoes of the forgetting, by block."""

import sys

import numpy as np
from figure import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.show.drawing import Figure, counts, estimates
from implicit_inference.show.notation import BLUE, GREY, ORANGE, RANGES, Look
from implicit_inference.study.panels import finished, zero
from implicit_inference.study.results import Results

LOOKS = {
    "stream": Look("stream of the pretrained network behind the block", BLUE, marker="o"),
    "constant": Look("mean change behind the block taken out", ORANGE, "--", "o"),
}


def draw(table: Results) -> Figure:
    """A column for each mixture, early positions above, late ones below."""
    rungs = table.groups("pretrain.discrete_prob")
    figure = Figure(figsize=(3.4 * len(rungs) + 1, 6.4))
    grid = figure.subplots(2, len(rungs), sharex=True, sharey=True, squeeze=False)
    for column, (labels, part) in zip(grid.T, rungs, strict=True):
        for axes, where in zip(column, ("early", "late"), strict=True):
            here = part.where(range=where)
            whole = here.values(way="nothing")
            for way, look in LOOKS.items():
                results = here.where(way=way)
                blocks = sorted(results.levels("block"))
                shares = [over_seeds(1 - results.values(block=block) / whole) for block in blocks]
                estimates(axes, look, np.array(blocks) + 1.0, shares)
            readout = float(np.mean(1 - here.values(way="read-out") / whole))
            axes.axhline(readout, color=GREY, linestyle=":", label="read-out of the pretrained network")
            zero(axes, 0.0, 1.0)
            counts(axes.xaxis, "block, counted from the embedding")
        column[0].set_title(f"α = {labels['pretrain.discrete_prob']:g}")
    for axes, where in zip(grid[:, 0], ("early", "late"), strict=True):
        axes.set_ylabel(f"share of the forgetting undone,\n{RANGES[where]}")
    return finished(figure, "Where fine-tuning's change sits", table)


if __name__ == "__main__":
    sys.exit(main("splicing", draw))
