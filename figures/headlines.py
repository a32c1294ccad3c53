"""Four panels for every comparison of fine-tunings: losses, what comes back, the inferred prior odds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from implicit_inference.show.drawing import Figure
from implicit_inference.show.notation import BLUE, GREEN, ORANGE, RED, SKY, Look
from implicit_inference.study.panels import bars, by_seed, categories, finished, legend, zero
from implicit_inference.study.results import Results

PANELS = {
    "change of the loss": {
        ("forgetting", "early"): Look("forgetting, early", RED),
        ("forgetting", "late"): Look("forgetting, late", ORANGE),
        ("gain", "early"): Look("gain on the set shown, early", BLUE),
        ("gain", "late"): Look("gain, late", SKY),
    },
    "recovered fraction, best γ": {
        ("recovered", "early"): Look("recovered, early", RED),
        ("recovered", "late"): Look("recovered, late", ORANGE),
        ("net_of_pretrained", "early"): Look("net of the pretrained, early", BLUE),
        ("net_of_pretrained", "late"): Look("net of the pretrained, late", SKY),
    },
    "prior log odds, inferred": {
        ("prior_logit", "pretrained"): Look("before fine-tuning: median and seeds", BLUE),
        ("prior_logit", "finetuned"): Look("after", RED),
    },
    "pretrained loss over exact Bayes": {
        ("excess_gaussian", "early"): Look("over ridge, early", GREEN),
        ("excess_discrete", "early"): Look("over the discrete posterior, early", ORANGE),
    },
}


def draw_headlines(table: Results, variants: Sequence[tuple[str, Results]], title: str) -> Figure:
    """The panels of `variants`, (name, rows) from left to right."""
    figure = Figure(figsize=(11, 7.4))
    for axes, (label, curves) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        places = categories(axes, [name for name, _ in variants])
        for i, ((quantity, which), look) in enumerate(curves.items()):
            offset, marked = 0.12 * (i - (len(curves) - 1) / 2), replace(look, marker="o")
            if quantity == "prior_logit":
                for place, (_, results) in zip(places, variants, strict=True):
                    once = marked if place == 0 else replace(marked, label="")
                    by_seed(axes, once, place + offset, results.where(quantity=quantity, predictor=which))
                continue
            results = Results.joined(results.where(quantity=quantity, range=which) for _, results in variants)
            bars(axes, places + offset, results, marked)
        zero(axes, *((0.0, 1.0) if "fraction" in label else (0.0,)))
        axes.set_ylabel(label)
        if "fraction" in label:
            axes.set_ylim(-1, max(1.5, min(3.0, np.nan_to_num(axes.get_ylim()[1], nan=1.5))))
        axes.tick_params(axis="x", labelsize=8)
        legend(axes, fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return finished(figure, title, table, legend=False)
