"""Control tokens: losses and inferred odds under each control, and control against the steps that stage 1 takes."""

import sys
from dataclasses import replace

import numpy as np
from figure import ERROR, main

from implicit_inference.show.drawing import Axes, Figure
from implicit_inference.show.notation import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Look
from implicit_inference.study.panels import band, bars, by_seed, categories, finished, legend, zero
from implicit_inference.study.results import Results

USUAL = {"control.adapt.prompt_length": 4, "control.adapt.rank": 2, "control.train": "both"}
KINDS = {"soft_prompt": Look("soft prompts", BLUE, marker="o"), "lora": Look("low rank", RED, marker="s")}


def usual(table: Results, **changes: object) -> Results:
    """The variants with the usual settings but for these."""
    return table.where(**{name.replace(".", "__"): value for name, value in (USUAL | changes).items()})


def parted(table: Results, first: int, second: int) -> Results:
    """Selects the variants with so many steps of the two stages."""
    return table.where(tune__steps=first, steer__steps=second)


def by_control(axes: Axes, table: Results, family: str, schemes: dict[str, tuple[Results, Look]]) -> None:
    """The loss of a family, early, under each control, and of those without any."""
    losses = table.where(quantity="loss", family=family, range="early")
    places = categories(axes, [f"α = {grade:g}" for grade in losses.levels("grade")])
    for i, (scheme, look) in enumerate(schemes.values()):
        results = scheme.where(quantity="loss", family=family, range="early", predictor="controlled")
        bars(axes, places + 0.1 * (i - 1), results, look)
    first = next(iter(schemes.values()))[0].where(quantity="loss", family=family, range="early")
    axes.plot(
        places, first.where(predictor="ideal").column("mean"), "_", color=BLACK, markersize=28, label="exact Bayes"
    )
    for name, colour, line in (("pretrained", GREEN, "--"), ("plain", GREY, ":")):
        label = {"pretrained": "pretrained", "plain": "fine-tuned without controls"}[name]
        axes.axhline(first.where(predictor=name).column("mean")[0], color=colour, linestyle=line, label=label)
    axes.set(xlabel="control", ylabel=f"{family} loss, early" if family != "gaussian" else "Gaussian loss, early")


def draw(table: Results) -> Figure:
    table = table.reduced()
    total = max(table.levels("steer.steps"))
    soft = usual(table, **{"control.adapt.method": "soft_prompt"})
    staged, joint, alone = (parted(soft, steps, total - steps) for steps in (total // 2, 0, total))
    fixed = usual(table, **{"control.train": "network"})
    schemes = {
        "staged": (staged, Look("half of the steps in stage 1", BLUE, marker="o")),
        "joint": (joint, Look("joint from the start", RED, marker="s")),
        "alone": (alone, Look("stage 1 alone", ORANGE, marker="^")),
        "fixed": (fixed, Look("hand-made, fixed", PURPLE, marker="D")),
    }
    figure = Figure(figsize=(12, 7.6))
    (gaussian, discrete, odds), (early, late, sizes) = figure.subplots(2, 3)
    by_control(gaussian, soft, "gaussian", schemes)
    by_control(discrete, soft, "discrete", schemes)
    places = categories(odds, [f"α = {grade:g}" for grade in soft.levels("grade")])
    for i, (scheme, look) in enumerate(schemes.values()):
        for place, (_, results) in zip(places, scheme.where(quantity="prior_logit").groups("grade"), strict=True):
            by_seed(odds, look if place == 0 else replace(look, label=""), place + 0.1 * (i - 1), results)
    odds.set(xlabel="control", ylabel="prior log odds, inferred (seeds)")
    for axes, where in ((early, "early"), (late, "late")):
        for method, look in KINDS.items():
            results = usual(table, **{"control.adapt.method": method}).where(quantity="controllability", range=where)
            part = results.where(predictor="controlled")
            split = Results.joined(parted(part, steps, total - steps) for steps in part.levels("tune.steps"))
            band(axes, look, split.column("tune.steps") / total, split)
            added = replace(look, label=f"{look.label}, stage 1 in addition", marker="*")
            bars(axes, np.array([0.54]), parted(part, total // 2, total), added)
        axes.axhline(
            results.where(predictor="ideal").column("mean")[0], color=BLACK, linestyle="--", label="exact Bayes"
        )
        zero(axes)
        axes.set(xlabel="fraction of the steps in stage 1", ylabel=f"controllability, {where}", ylim=(0, None))
    ablations(sizes, parted(table, total // 2, total // 2))
    for axes, place in ((gaussian, "upper left"), (early, "lower left"), (sizes, "lower right")):
        legend(axes, fontsize=8, loc=place)
    return finished(figure, f"Controls of three preferences, α = 0, 0.5 and 1; {ERROR}", table, legend=False)


def ablations(axes: Axes, table: Results) -> None:
    """Controllability of soft prompts of some lengths and low-rank additions of some ranks, trained in halves."""
    kinds = [("soft_prompt", "control.adapt.prompt_length", "length {}"), ("lora", "control.adapt.rank", "rank {}")]
    names, losses = [], []
    for method, field, text in kinds:
        for size in sorted(table.levels(field)):
            results = usual(table, **{"control.adapt.method": method, field: size})
            losses.append(results.where(quantity="controllability", predictor="controlled"))
            names.append(text.format(size))
    places = categories(axes, names)
    for where, look in (("early", Look("early", GREEN, marker="o")), ("late", Look("late", GREY, marker="s"))):
        bars(axes, places, Results.joined(results.where(range=where) for results in losses), look)
    axes.tick_params(axis="x", labelrotation=35)
    axes.set(ylabel="controllability", ylim=(0, None))


if __name__ == "__main__":
    sys.exit(main("control", draw))
