"""Tables -> figures. Reads what a probe and its training stages stored; needs no parameters and trains nothing."""

import itertools
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from implicit_inference.bayes.attribution import GATE_EDGES
from implicit_inference.config.errors import counted
from implicit_inference.measure import attribution
from implicit_inference.measure.formulas import CLOSENESS_EDGES, Estimate, over_seeds
from implicit_inference.measure.lookup import SHRUNK, UNDEFINED, Curves, Table, while_training
from implicit_inference.runs.drafts import owned
from implicit_inference.runs.files import write_whole
from implicit_inference.runs.store import Run, interpreted
from implicit_inference.show.answer import answer
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
from implicit_inference.show.notation import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LOOKS,
    ORANGE,
    RANGES,
    RED,
    SKY,
    Look,
    Notation,
    estimate,
    spread,
)
from implicit_inference.show.notation import bins as bin_names
from implicit_inference.worlds import described

WHERE = ("early", "late")


def drawn(run: Run, kinds: Sequence[str]) -> dict[str, bytes]:
    """{file name: picture} of every figure of a probe, in every kind (png, svg). Writes nothing."""
    config, records = run.config(), run.read_table("table.parquet")
    curves = {}
    for parent in run.parents():
        losses = parent.read_table("training.parquet")
        with interpreted(parent.path("training.parquet")):
            curves[parent.stage] = while_training(losses, described(config.world).families)
    with style(), interpreted(run.path("table.parquet")):
        table = Table(records, config)
        figures = {
            "answer": answer(table),
            "loss_by_position": loss_by_position(table),
            "recovery": recovery(table),
            "conjugations": conjugations(table),
            "closeness": closeness(table),
            "origin": attribution_of_forgetting(table),
            "training": training_curves(curves, Notation.of(config)),
        }
        source = run.info()["files"]["table.parquet"]
        return {f"{name}.{kind}": rendered(figure, kind, source) for name, figure in figures.items() for kind in kinds}


def draw_all(run: Run, folder: Path | None = None) -> list[Path]:
    """Draws every figure of a probe, as PNG and SVG, in `folder`, or in the probe's own `figures`; returns the paths.

    Nothing is written to the probe if a folder is given. Raises StoreError for a file of another shape.
    """
    pictures, place = drawn(run, ("png", "svg")), folder or run.path("figures")
    with nullcontext() if folder else owned(run):
        for name, picture in pictures.items():
            write_whole(place / name, picture)
    return [place / name for name in pictures]


def loss_by_position(table: Table) -> Figure:
    """Loss against the number of exemplars, every predictor, on both families of prompts."""
    figure, names, world = Figure(figsize=(10, 4.2)), Notation.of(table.config), table.world
    strength = table.chosen("early")
    predictors = [*table.networks, "bayes_pretraining", *(world.exact[f] for f in reversed(world.families))]
    if table.config.finetune.discrete_prob < 1:  # else it is exact Bayes for the preferred family
        predictors.insert(4, "bayes_finetuning")
    for axes, family in zip(figure.subplots(1, 2), reversed(world.families), strict=True):
        for name in predictors:
            curve(axes, names.look(name), range(table.length), table.curve(name, family))
        conjugated = table.curve(table.after, family, table.on_dial(strength))
        curve(axes, names.conjugated(strength), range(table.length), conjugated)
        axes.set(title=f"{names.family(family)} prompts", ylabel=names.loss)
        counts(axes.xaxis, "exemplars in context")
        axes.set_ylim(bottom=0)
    legend_below(figure)
    return titled(figure, "What is forgotten, and what a conjugated prompt brings back", table.config)


def recovery(table: Table) -> Figure:
    """Recovered fraction and loss on the forgotten family against the dial, early and late positions apart."""
    figure, names = Figure(figsize=(10, 7)), Notation.of(table.config)
    grid = figure.subplots(2, 2, sharex=True)
    strengths = [g for g in table.strengths() if g > 0]
    shrunk, exact = table.curve(table.after, case=SHRUNK), table.world.exact[table.world.forgotten]
    for (top, bottom), where in zip(grid.T, WHERE, strict=True):
        conjugated = {g: table.curve(table.after, case=table.on_dial(g)) for g in strengths}
        for name in ("constant_pull", "prior_shift", "prior_and_weight"):
            found = [attribution.predicted_net(table, name, where, table.on_dial(g)) for g in strengths]
            estimates(top, names.look(name), strengths, found, shade=0)
        gates = [attribution.gate_closed(table, where, table.on_dial(g)) for g in strengths]
        estimates(top, Look("gap of the gates closed", GREEN, marker="s"), strengths, gates)
        gross = [table.recovered(where, conjugated[g]) for g in strengths]
        estimates(top, Look("measured, gross", SKY, ":"), strengths, gross, shade=0)
        net = [table.net(where, table.on_dial(g)) for g in strengths]
        estimates(top, Look("measured, net of the pretrained", RED, marker="o"), strengths, net)
        top.set(title=RANGES[where], ylabel="recovered fraction", ylim=(-1.25, 1.5))
        undefined(top, UNDEFINED)
        top.axhline(0, color=GREY, linewidth=0.8)
        top.axhline(1, color=GREY, linewidth=0.8)
        for name in table.networks:
            curves = [table.curve(name, case=table.on_dial(g)) for g in strengths]
            found = [over_seeds(table.averaged(values, where)) for values in curves]
            estimates(bottom, replace(names.look(name), marker="o"), strengths, found)
        for look, values in ((LOOKS["shrink_only"], shrunk), (names.look(exact), table.curve(exact))):
            level = over_seeds(table.averaged(values, where))
            estimates(bottom, look, strengths, [level] * len(strengths))
        bottom.set(xlabel=names.dial.axis, ylabel=names.loss, xscale="log", ylim=(0, None))
        bottom.set_xticks(strengths, [f"{g:g}" for g in strengths])
        bottom.minorticks_off()
    legend_below(figure)
    title = f"Recovery on {names.family(table.world.forgotten)} prompts against the {names.dial.axis}"
    return titled(figure, title, table.config)


def conjugations(table: Table) -> Figure:
    """Loss on the forgotten family under each conjugation: of networks that forgot, did not forget, never knew."""
    figure, names = Figure(figsize=(10, 4.8)), Notation.of(table.config)
    cases = [*table.cases(), SHRUNK]
    labels = [names.conjugation(*case) for case in cases]
    for axes, where in zip(figure.subplots(1, 2, sharey=True), WHERE, strict=True):
        for offset, name in zip((-0.2, 0.0, 0.2), table.networks, strict=True):
            found = [over_seeds(table.averaged(table.curve(name, case=case), where)) for case in cases]
            axes.errorbar(
                [e.mean for e in found],
                np.arange(len(cases)) + offset,
                xerr=[e.stderr for e in found],
                fmt="o",
                color=names.look(name).colour,
                label=names.look(name).label,
            )
        axes.set(title=RANGES[where], xlabel=names.loss)
        axes.set_yticks(np.arange(len(cases)), labels)
    figure.axes[0].invert_yaxis()
    legend_below(figure)
    return titled(figure, f"Every conjugation, on {names.family(table.world.forgotten)} prompts", table.config, "bars")


def closeness(table: Table) -> Figure:
    """The rise of the loss on the forgotten family by how much the past looks like the preferred one.

    All positions but the empty context together: the bins around 0 hold mostly short pasts.
    """
    figure, names = Figure(figsize=(7, 4)), Notation.of(table.config)
    axes, frame = figure.subplots(), table.frame
    binned = frame[(frame["quantity"] == "loss") & frame["bin"].notna()]
    means = binned.pivot(index=["predictor", "bin"], columns="seed", values="mean").reindex(columns=table.seeds)
    n = binned[binned["predictor"] == table.before].groupby("bin")["n"].sum()
    bins = [b for b in sorted(n.index) if means.loc[(table.before, b)].notna().all()]
    pairs: tuple[tuple[Look, str, str], ...] = (
        (Look("networks, before to after", RED), table.before, table.after),
        (LOOKS["bayes_effective"], f"bayes_effective_{table.before}", f"bayes_effective_{table.after}"),
    )
    for look, before, after in pairs:
        rises = [(means.loc[(after, b)] - means.loc[(before, b)]).to_numpy(np.float64) for b in bins]
        estimates(axes, look, list(range(len(bins))), [over_seeds(rise) for rise in rises])
    undefined(axes, "no bin has predictions of every seed")
    ticks = [f"{bin_names(CLOSENESS_EDGES)[int(b)]}\nn={int(n[b])}" for b in bins]
    axes.set_xticks(range(len(bins)), ticks, fontsize=8)
    axes.axhline(0, color=GREY, linewidth=0.8)
    preferred, forgotten = (names.family(family) for family in table.world.families)
    axes.set(
        xlabel=f"log evidence ratio of the past, {preferred} against {forgotten} (n predictions at 1 to K-1 exemplars)",
        ylabel="rise of the loss",
    )
    legend_below(figure)
    return titled(figure, f"Which {forgotten} prompts does fine-tuning hurt?", table.config)


def attribution_of_forgetting(table: Table) -> Figure:
    """Where the capability went: on the line and off it, the gates, what accounts predict of every conjugation."""
    figure = Figure(figsize=(12, 4.8))
    left, middle, right = figure.subplots(1, 3)
    _attribution(left, table)
    _gates(middle, table)
    _calibration(right, table)
    legend_below(figure)
    return titled(figure, "Where did the capability go?", table.config, "bands and bars")


def _attribution(axes: Axes, table: Table) -> None:
    """The forgetting at every position, on the line between the exact predictors and off it."""
    names, forgotten = Notation.of(table.config), table.world.forgotten
    parts = table.attribution_by_position()
    looks = (Look("on the line", SKY, "--"), Look("off the line", ORANGE, "-."))
    curve(axes, Look("forgetting", BLACK), range(table.length), parts.on_line + parts.off_line)
    for look, values in zip(looks, parts, strict=True):
        curve(axes, look, range(table.length), values)
    axes.axhline(0, color=GREY, linewidth=0.8)
    exact = names.predictor(table.world.exact[forgotten])
    axes.set(title=f"{names.family(forgotten)} prompts", ylabel=f"rise of the distance to {exact}")
    counts(axes.xaxis, "exemplars in context")


def _gates(axes: Axes, table: Table) -> None:
    """The weight given to the preferred family's exact predictor, by how close the past is to that family."""
    names, strength = Notation.of(table.config), table.chosen("early")
    found = attribution.gated(table, strength)
    looks = {n: names.look(n) for n in (*table.networks, "bayes_pretraining", f"bayes_effective_{table.after}")}
    for name, look in {**looks, "moved": names.conjugated(strength)}.items():
        values = [Estimate(**entry[name]) for entry in found["bins"]]
        estimates(axes, replace(look, marker="o"), range(len(values)), values)
    undefined(axes, "no bin has gates of every predictor")
    ticks = [bin_names(GATE_EDGES)[entry["bin"]] for entry in found["bins"]]
    axes.set_xticks(range(len(ticks)), ticks, rotation=40, ha="right", fontsize=8)
    axes.set(title="Prompts of both families", ylabel="effective gate", xlabel="log evidence ratio of the past")


SPAN = (-1.3, 1.1)
"""The range of net recovery that is drawn"""


def _calibration(axes: Axes, table: Table) -> None:
    """Net recovery under each conjugation, measured against what the null and an account say of it."""
    names, summary = Notation.of(table.config), attribution.conjugated(table)["early"]
    fits = attribution.calibrated(table)["early"]
    for name, marker in (("constant_pull", "x"), ("prior_and_weight", "o")):
        pairs = [(case["predicted"][name]["mean"], case["net"]["mean"]) for case in summary]
        inside = [pair for pair in pairs if None not in pair and all(SPAN[0] <= value <= SPAN[1] for value in pair)]
        if inside:
            label = f"{names.predictor(name)}: R² = {estimate(fits[name]['r2'])}"
            axes.plot(*zip(*inside, strict=True), marker, color=names.look(name).colour, label=label)
    undefined(axes, UNDEFINED)
    axes.plot(SPAN, SPAN, color=GREY, linewidth=0.8)
    axes.set(title="every conjugation, early", xlim=SPAN, ylim=SPAN)
    axes.set(xlabel="net recovery, predicted", ylabel="net recovery, measured")


def training_curves(tables: dict[str, Curves], names: Notation) -> Figure:
    """Loss while training, with the level of exact Bayes under the prior of the stage."""
    figure = Figure(figsize=(10, 3.8))
    colours = dict(zip(names.world.families, (ORANGE, BLUE), strict=True))
    lines = {"network": "-", "bayes": "--"}
    for axes, (stage, curves) in zip(figure.subplots(1, len(tables)), tables.items(), strict=True):
        for family, predictor in itertools.product(reversed(names.world.families), lines):
            steps, values = curves[family, predictor]
            name = "network" if predictor == "network" else "exact Bayes, the stage's prior"
            look = Look(f"{name}, {names.family(family)} prompts", colours[family], lines[predictor])
            curve(axes, look, steps, values)
        axes.set(title=stage, ylabel=names.loss, ylim=(0, None))
        counts(axes.xaxis, "optimiser step")
    legend_below(figure)
    n = max(len(values) for curves in tables.values() for _, values in curves.values())
    figure.suptitle(f"Training; {counted(n, 'seed')}{spread(n, 'bands')}", x=0.01, ha="left")
    return figure
