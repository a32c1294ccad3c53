"""Losses and net recovery by permuted concepts, one by one and averaged, and by averages over languages."""

import sys

from figure import NAMES, main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import RANGES, RED, Look
from implicit_inference.study.panels import categories, finished, points, zero
from implicit_inference.study.results import Results

NETWORKS = ("pretrained", "finetuned", "scratch")


def draw(table: Results) -> Figure:
    """Early positions above, late below: the change of the loss of three networks; net recovery."""
    figure, ways = Figure(figsize=(13, 7.4)), table.levels("way")
    plain, *moved = ways
    names = [way.replace(" ", "\n", 1) for way in moved]
    grid = figure.subplots(2, 2, sharex=True, sharey="col")
    for (changes, recoveries), where in zip(grid, ("early", "late"), strict=True):
        losses = table.where(quantity="loss", range=where)
        of = {(name, way): losses.values(predictor=name, way=way) for name in NETWORKS for way in ways}
        places = categories(changes, names)
        for offset, name in zip((-0.2, 0.0, 0.2), NETWORKS, strict=True):
            found = [over_seeds(of[name, way] - of[name, plain]) for way in moved]
            points(changes, places + offset, found, NAMES.look(name))
        categories(recoveries, names)
        nets = [table.estimate(quantity="net_of_pretrained", range=where, way=way) for way in moved]
        points(recoveries, places, nets, Look("net recovery", RED, marker="s"))
        zero(changes)
        zero(recoveries, 0.0, 1.0)
        changes.set_ylabel(f"change of the loss, {RANGES[where]}")
        recoveries.set_ylabel("net recovery")
    return finished(figure, "Permuted concepts, one by one and averaged, and averages over languages", table)


if __name__ == "__main__":
    sys.exit(main("language_averages", draw))
