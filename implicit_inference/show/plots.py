"""Tables -> figures. Reads what a probe and its training stages stored; needs no parameters and trains nothing."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from implicit_inference.config.errors import counted
from implicit_inference.config.fields import Config
from implicit_inference.measure import attribution
from implicit_inference.measure.formulas import CLOSENESS_EDGES, GATE_EDGES, Estimate, over_seeds
from implicit_inference.measure.lookup import UNDEFINED, Curves, Losses, predicted_recovery, recovery_of, while_training
from implicit_inference.runs.drafts import owned
from implicit_inference.runs.files import write_whole
from implicit_inference.runs.store import Row, Run, interpreted
from implicit_inference.show import notation
from implicit_inference.show.drawing import (
    Axes,
    Figure,
    counts,
    curve,
    estimates,
    legend_below,
    rendered,
    style,
    titled,
    undefined,
)
from implicit_inference.show.notation import BLACK, BLUE, GREY, LOOKS, ORANGE, RED, SKY, Look, spread

WHERE = ("early", "late")
WHICH = ("predicted", "measured")


def drawn(run: Run, kinds: Sequence[str]) -> dict[str, bytes]:
    """{file name: picture} of every figure of a probe, in every kind (png, svg). Writes nothing."""
    config, rows = run.config(), run.read_table("table.parquet")
    curves = {}
    for parent in run.parents():
        table = parent.read_table("training.parquet")
        with interpreted(parent.path("training.parquet")):
            curves[parent.stage] = while_training(table)
    with style(), interpreted(run.path("table.parquet")):
        losses = Losses(rows, config)
        figures = {
            "loss_by_position": loss_by_position(losses, config),
            "recovery": recovery(losses, config),
            "conjugations": conjugations(losses, config),
            "closeness": closeness(rows, config),
            "origin": origin_of_forgetting(rows, config),
            "training": training_curves(curves),
        }
        return {f"{name}.{kind}": rendered(figure, kind) for name, figure in figures.items() for kind in kinds}


def draw_all(run: Run, folder: Path | None = None) -> list[Path]:
    """Draws every figure of a probe, as PNG and SVG, in `folder`, or in the probe's own `figures`; returns the paths.

    Nothing is written to the probe if a folder is given. Raises StoreError for a file of another shape.
    """
    pictures, place = drawn(run, ("png", "svg")), folder or run.path("figures")
    with nullcontext() if folder else owned(run):
        for name, picture in pictures.items():
            write_whole(place / name, picture)
    return [place / name for name in pictures]


def loss_by_position(losses: Losses, config: Config) -> Figure:
    """Loss against the number of exemplars, every predictor, on both families of prompts."""
    figure = Figure(figsize=(10, 4.2))
    strength = losses.chosen("early")
    names = ["pretrained", "finetuned", "scratch", "bayes_pretraining", "ridge", "discrete_posterior"]
    if config.finetune.discrete_prob < 1:  # else it is the discrete posterior
        names.insert(4, "bayes_finetuning")
    for axes, family in zip(figure.subplots(1, 2), ("gaussian", "discrete"), strict=True):
        for name in names:
            curve(axes, LOOKS[name], range(losses.length), losses(name, family))
        look = replace(LOOKS["moved"], label=LOOKS["moved"].label.format(strength))
        moved = losses("finetuned", family, "label_scale", strength) if strength != 1 else losses("finetuned", family)
        curve(axes, look, range(losses.length), moved)
        axes.set(title=f"{notation.family(family)} prompts", ylabel="noise-free squared error")
        counts(axes.xaxis, "exemplars in context")
        axes.set_ylim(bottom=0)
    legend_below(figure)
    return titled(figure, "What is forgotten, and what a conjugated prompt brings back", config)


def recovery(losses: Losses, config: Config) -> Figure:
    """Recovered fraction and loss on Gaussian prompts against the label scale, early and late positions apart."""
    figure = Figure(figsize=(10, 7))
    grid = figure.subplots(2, 2, sharex=True)
    scales = sorted({1.0, *(g for g in losses.strengths("label_scale") if g > 0)})
    for (top, bottom), where in zip(grid.T, WHERE, strict=True):
        measured = [recovery_of(losses, where, losses.scaled("finetuned", g)) for g in scales]
        estimates(top, Look("measured", SKY, marker="o"), scales, measured)
        predicted = [predicted_recovery(losses, where, g) for g in scales]
        estimates(top, LOOKS["bayes_effective"], scales, predicted)
        shrunk = losses("finetuned", conjugation="shrink_only")
        estimates(top, LOOKS["shrink_only"], scales, [recovery_of(losses, where, shrunk)] * len(scales))
        top.set(title=notation.RANGES[where], ylabel="recovered fraction", ylim=(-1.25, 1.5))
        undefined(top, UNDEFINED)
        top.axhline(0, color=GREY, linewidth=0.8)
        top.axhline(1, color=GREY, linewidth=0.8)
        for name in ("pretrained", "finetuned", "scratch"):
            moved = [over_seeds(losses.averaged(losses.scaled(name, g), where)) for g in scales]
            estimates(bottom, replace(LOOKS[name], marker="o"), scales, moved)
        for name, values in (("shrink_only", shrunk), ("ridge", losses("ridge"))):
            level = over_seeds(losses.averaged(values, where))
            estimates(bottom, LOOKS[name], scales, [level] * len(scales))
        bottom.set(xlabel="label scale γ", ylabel="noise-free squared error", xscale="log", ylim=(0, None))
        bottom.set_xticks(scales, [f"{g:g}" for g in scales])
        bottom.minorticks_off()
    legend_below(figure)
    return titled(figure, "Recovery on Gaussian prompts against the label scale", config)


def conjugations(losses: Losses, config: Config) -> Figure:
    """Loss on Gaussian prompts under each conjugation, for the networks that forgot, did not forget, never knew."""
    figure = Figure(figsize=(10, 4.8))
    cases = [("identity", None), *((name, s) for name, s in losses.conjugations() if name != "identity")]
    labels = [notation.conjugation(*case) for case in cases]
    for axes, where in zip(figure.subplots(1, 2, sharey=True), WHERE, strict=True):
        for offset, name in zip((-0.2, 0.0, 0.2), ("pretrained", "finetuned", "scratch"), strict=True):
            found = [over_seeds(losses.averaged(losses(name, "gaussian", *case), where)) for case in cases]
            axes.errorbar(
                [e.mean for e in found],
                np.arange(len(cases)) + offset,
                xerr=[e.stderr for e in found],
                fmt="o",
                color=LOOKS[name].colour,
                label=LOOKS[name].label,
            )
        axes.set(title=notation.RANGES[where], xlabel="noise-free squared error")
        axes.set_yticks(np.arange(len(cases)), labels)
    figure.axes[0].invert_yaxis()
    legend_below(figure)
    return titled(figure, "Every conjugation, on Gaussian prompts", config, "bars")


def closeness(rows: list[Row], config: Config) -> Figure:
    """The rise of the loss on Gaussian prompts by how much their past looks like the discrete set.

    All positions but the empty context together: the bins around 0 hold mostly short pasts.
    """
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    cells = {
        (row["predictor"], row["bin"], row["seed"]): (row["mean"], row["n"])
        for row in rows
        if row["quantity"] == "squared_error" and row["bin"] is not None
    }
    pairs = (
        (Look("networks, before to after", RED), "pretrained", "finetuned"),
        (LOOKS["bayes_effective"], "bayes_effective_pretrained", "bayes_effective_finetuned"),
    )
    bins = [
        b for b in sorted({b for _, b, _ in cells}) if all(("pretrained", b, seed) in cells for seed in config.seeds)
    ]
    for look, before, after in pairs:
        rises = [np.array([cells[after, b, s][0] - cells[before, b, s][0] for s in config.seeds]) for b in bins]
        estimates(axes, look, list(range(len(bins))), [over_seeds(rise) for rise in rises])
    undefined(axes, "no bin has predictions of every seed")
    predictions = [sum(cells["pretrained", b, s][1] for s in config.seeds) for b in bins]
    names = [notation.bins(CLOSENESS_EDGES)[b] for b in bins]
    ticks = [f"{name}\nn={n}" for name, n in zip(names, predictions, strict=True)]
    axes.set_xticks(range(len(bins)), ticks, fontsize=8)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(
        xlabel="log evidence ratio of the past, discrete against Gaussian (n predictions at 1 to K-1 exemplars)",
        ylabel="rise of the loss",
    )
    legend_below(figure)
    return titled(figure, "Which Gaussian prompts does fine-tuning hurt?", config)


def origin_of_forgetting(rows: list[Row], config: Config) -> Figure:
    """Where the capability went: what a shift of the prior odds explains, the gates, theory's ranking."""
    figure = Figure(figsize=(12, 4.8))
    left, middle, right = figure.subplots(1, 3)
    _attribution(left, Losses(rows, config, "ridge_distance"))
    _gates(middle, rows, config)
    _ranking(right, rows, config)
    legend_below(figure)
    return titled(figure, "Where did the capability go?", config, "bands and bars")


def _attribution(axes: Axes, distances: Losses) -> None:
    """The forgetting at every position, in its two parts."""
    by_position = [attribution.attribution_of(distances, slice(k, k + 1)) for k in range(distances.length)]
    looks = (Look("forgetting", BLACK), Look("inference shift", SKY, "--"), Look("capability loss", ORANGE, "-."))
    for look, parts in zip(looks, zip(*by_position, strict=True), strict=True):
        estimates(axes, look, range(distances.length), [over_seeds(values) for values in parts])
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(title="Gaussian prompts", ylabel="rise of the distance to ridge")
    counts(axes.xaxis, "exemplars in context")


def _gates(axes: Axes, rows: list[Row], config: Config) -> None:
    """The weight given to the discrete posterior, by how close the past is to the discrete set."""
    strength = Losses(rows, config).chosen("early")
    moved = replace(LOOKS["moved"], label=LOOKS["moved"].label.format(strength))
    looks = [(name, LOOKS[name]) for name in ("pretrained", "finetuned", "scratch", "bayes_pretraining")]
    found = attribution.gated(rows, strength)
    for name, look in [*looks, ("bayes_effective_finetuned", LOOKS["bayes_effective_finetuned"]), ("moved", moved)]:
        values = [Estimate(**entry[name]) for entry in found["bins"]]
        estimates(axes, replace(look, marker="o"), range(len(values)), values)
    undefined(axes, "no bin has gates of every predictor")
    names = [notation.bins(GATE_EDGES)[entry["bin"]] for entry in found["bins"]]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=8)
    axes.set(title="Prompts of both families", ylabel="effective gate", xlabel="log evidence ratio of the past")


def _ranking(axes: Axes, rows: list[Row], config: Config) -> None:
    """Each conjugation's rank by the loss that the ideal learner shows and by the one that the network shows."""
    found = attribution.ranked(rows, config)["early"]
    cases = found["conjugations"]
    predicted, measured = (np.argsort(np.argsort([case[of]["mean"] for case in cases])) + 1 for of in WHICH)
    axes.plot([1, len(cases)], [1, len(cases)], color=GREY, linewidth=0.8)
    for case, x, y in zip(cases, predicted, measured, strict=True):
        axes.plot(x, y, "o", color=RED)
        left = 2 * x > len(cases)
        axes.annotate(
            notation.conjugation(case["conjugation"], case["strength"]),
            (x, y),
            xytext=(-6 if left else 6, -3),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=7,
        )
    axes.set_title(f"conjugations, early: Kendall's τ = {notation.estimate(found['by_loss']['kendall'])}")
    counts(axes.xaxis, "rank by exact Bayes, effective prior after")
    counts(axes.yaxis, "rank by the fine-tuned network's loss")


def training_curves(tables: dict[str, Curves]) -> Figure:
    """Loss while training, with the level of exact Bayes under the prior of the stage."""
    figure = Figure(figsize=(10, 3.8))
    colours, lines = {"gaussian": BLUE, "discrete": ORANGE}, {"network": "-", "bayes": "--"}
    for axes, (stage, curves) in zip(figure.subplots(1, len(tables)), tables.items(), strict=True):
        for (family, predictor), (steps, values) in curves.items():
            name = "network" if predictor == "network" else "exact Bayes, the stage's prior"
            look = Look(f"{name}, {notation.family(family)} prompts", colours[family], lines[predictor])
            curve(axes, look, steps, values)
        axes.set(title=stage, ylabel="noise-free squared error", ylim=(0, None))
        counts(axes.xaxis, "optimiser step")
    legend_below(figure)
    n = max(len(values) for curves in tables.values() for _, values in curves.values())
    figure.suptitle(f"Training; {counted(n, 'seed')}{spread(n, 'bands')}", x=0.01, ha="left")
    return figure
