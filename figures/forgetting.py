"""Losses and the inferred prior odds in the course of fine-tuning."""

import sys
from dataclasses import replace

from figure import ERROR, main

from implicit_inference.show.drawing import Figure, counts
from implicit_inference.show.notation import BLACK, Look
from implicit_inference.study.panels import COLOURS, band, by_seed, finished
from implicit_inference.study.results import Results

PANELS = (("gaussian", "early"), ("gaussian", "late"), ("discrete", "early"))


def draw(table: Results) -> Figure:
    table = table.reduced()
    figure = Figure(figsize=(10, 7))
    *panels, odds = figure.subplots(2, 2, sharex=True).flat
    for alpha, colour in zip(table.levels("pretrain.discrete_prob"), COLOURS, strict=False):
        part, look = table.where(pretrain__discrete_prob=alpha), Look(f"network, α = {alpha:g}", colour)
        for axes, (family, where) in zip(panels, PANELS, strict=True):
            for name, line in (("network", "-"), ("ideal", "--")):
                results = part.where(quantity="loss", predictor=name, family=family, range=where)
                results = results.given("step")
                label = look.label if name == "network" else ""
                look_of_line = replace(look, line=line, label=label)
                band(axes, look_of_line, results.column("step"), results, shade=0.2 if name == "network" else 0)
            axes.set(title=f"{family.capitalize()} prompts, {where} positions", ylabel=ERROR)
        results = part.where(quantity="prior_logit")
        by_seed(odds, look, results.column("step"), results)
    odds.plot([], [], "--", color=BLACK, label="ideal learner with the odds inferred then (no band)")
    odds.set(title="inferred prior: median and seeds", ylabel="log odds, discrete against Gaussian")
    for axes in (panels[2], odds):
        counts(axes.xaxis, "fine-tuning step")
    return finished(figure, "Fine-tuning on the discrete set", table)


if __name__ == "__main__":
    sys.exit(main("forgetting", draw))
