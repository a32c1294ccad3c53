"""Tables -> figures. Reads what a probe and its training stages stored; needs no parameters and trains nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from implicit_inference.config import Config
from implicit_inference.metrics import CLOSENESS_EDGES, Estimate, Values, over_seeds
from implicit_inference.rows import Row
from implicit_inference.store import Run
from implicit_inference.summary import Losses, predicted_recovery, recovery_of

BLACK, ORANGE, SKY, GREEN, BLUE, RED, PURPLE, GREY = (
    "#000000",
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#8c8c8c",
)
"""The colour-blind-safe palette of Okabe and Ito (2008)."""


@dataclass(frozen=True)
class Look:
    """How one predictor is drawn, in every figure."""

    label: str
    colour: str
    line: str = "-"
    marker: str = ""


LOOKS = {
    "pretrained": Look("pretrained", BLUE),
    "finetuned": Look("fine-tuned", RED),
    "scratch": Look("scratch (fine-tuning tasks only)", PURPLE),
    "bayes_pretraining": Look("exact Bayes, pretraining prior", BLACK, "--"),
    "bayes_finetuning": Look("exact Bayes, fine-tuning prior", ORANGE, "--"),
    "ridge": Look("ridge", GREEN, ":"),
    "discrete_posterior": Look("discrete posterior", ORANGE, ":"),
    "shrink_only": Look("fine-tuned, shrunk only", GREY, "-."),
    "bayes_effective": Look("exact Bayes with the effective priors", BLACK, "--"),
}
RANGE_TITLES = {"early": "early positions", "late": "late positions"}


def draw_all(run: Run) -> list[Path]:
    """Every figure of a probe, as PNG and SVG, in its `figures` folder."""
    config, rows = run.config(), run.read_table("table.parquet")
    losses = Losses(rows, config)
    training = {parent.split("-")[0]: Run(run.directory.parent / parent) for parent in run.info()["parents"]}
    tables = {stage: parent.read_table("training.parquet") for stage, parent in training.items()}
    with matplotlib.style.context(str(files("implicit_inference") / "figures.mplstyle")):
        figures = {
            "loss_by_position": loss_by_position(losses, config),
            "recovery": recovery(losses, config),
            "conjugations": conjugations(losses, config),
            "closeness": closeness(rows, config),
            "training": training_curves(tables),
        }
        return [path for name, figure in figures.items() for path in _save(figure, run, name)]


def loss_by_position(losses: Losses, config: Config) -> Figure:
    """Loss against the number of exemplars, every predictor, on both families of prompts."""
    figure = Figure(figsize=(10, 4.2))
    strength = losses.chosen("early")
    names = ["pretrained", "finetuned", "scratch", "bayes_pretraining", "ridge", "discrete_posterior"]
    if config.finetune.discrete_prob < 1:  # else it is the discrete posterior
        names.insert(4, "bayes_finetuning")
    for axes, family in zip(figure.subplots(1, 2), ("gaussian", "discrete"), strict=True):
        for name in names:
            _curve(axes, LOOKS[name], range(losses.length), losses(name, family))
        look = Look(f"fine-tuned, labels × {strength:g}", SKY)
        moved = losses("finetuned", family, "label_scale", strength) if strength != 1 else losses("finetuned", family)
        _curve(axes, look, range(losses.length), moved)
        axes.set(
            title=f"{family.capitalize()} prompts", xlabel="exemplars in context", ylabel="noise-free squared error"
        )
        axes.set_ylim(bottom=0)
    _legend_below(figure)
    return _titled(figure, "What is forgotten, and what a conjugated prompt brings back", config)


def recovery(losses: Losses, config: Config) -> Figure:
    """Recovered fraction and loss on Gaussian prompts against the label scale, early and late positions apart."""
    figure = Figure(figsize=(10, 7))
    grid = figure.subplots(2, 2, sharex=True)
    scales = sorted({1.0, *(g for g in losses.strengths("label_scale") if g > 0)})
    for (top, bottom), where in zip(grid.T, RANGE_TITLES, strict=True):
        measured = [recovery_of(losses, where, losses.scaled("finetuned", g)) for g in scales]
        _estimates(top, Look("measured", SKY, marker="o"), scales, measured)
        predicted = [predicted_recovery(losses, where, g) for g in scales]
        _estimates(top, LOOKS["bayes_effective"], scales, predicted)
        shrunk = losses("finetuned", conjugation="shrink_only")
        _estimates(top, LOOKS["shrink_only"], scales, [recovery_of(losses, where, shrunk)] * len(scales))
        top.set(title=RANGE_TITLES[where], ylabel="recovered fraction", ylim=(-1.25, 1.5))
        top.axhline(0, color=GREY, linewidth=0.8)
        top.axhline(1, color=GREY, linewidth=0.8)
        for name in ("pretrained", "finetuned", "scratch"):
            moved = [over_seeds(losses.averaged(losses.scaled(name, g), where)) for g in scales]
            _estimates(bottom, replace(LOOKS[name], marker="o"), scales, moved)
        for name, values in (("shrink_only", shrunk), ("ridge", losses("ridge"))):
            level = over_seeds(losses.averaged(values, where))
            _estimates(bottom, LOOKS[name], scales, [level] * len(scales))
        bottom.set(xlabel="label scale γ", ylabel="noise-free squared error", xscale="log", ylim=(0, None))
        bottom.set_xticks(scales, [f"{g:g}" for g in scales])
        bottom.minorticks_off()
    _legend_below(figure)
    return _titled(figure, "Recovery on Gaussian prompts against the label scale", config)


def conjugations(losses: Losses, config: Config) -> Figure:
    """Loss on Gaussian prompts under each conjugation, for the networks that forgot, did not forget, never knew."""
    figure = Figure(figsize=(10, 4.8))
    cases = [("identity", None), *((name, s) for name, s in losses.conjugations() if name != "identity")]
    labels = [name.replace("_", " ") + (f" {s:g}" if s is not None else "") for name, s in cases]
    for axes, where in zip(figure.subplots(1, 2, sharey=True), RANGE_TITLES, strict=True):
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
        axes.set(title=RANGE_TITLES[where], xlabel="noise-free squared error")
        axes.set_yticks(np.arange(len(cases)), labels)
    figure.axes[0].invert_yaxis()
    _legend_below(figure)
    return _titled(figure, "Every conjugation, on Gaussian prompts", config, "bars")


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
    bins = sorted({b for _, b, _ in cells})
    bins = [b for b in bins if all(("pretrained", b, seed) in cells for seed in config.seeds)]
    for look, before, after in pairs:
        rises = [np.array([cells[after, b, s][0] - cells[before, b, s][0] for s in config.seeds]) for b in bins]
        _estimates(axes, look, list(range(len(bins))), [over_seeds(rise) for rise in rises])
    counts = [sum(cells["pretrained", b, s][1] for s in config.seeds) for b in bins]
    names = [_bin_name(b) for b in bins]
    axes.set_xticks(range(len(bins)), [f"{name}\nn={n}" for name, n in zip(names, counts, strict=True)], fontsize=8)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(
        xlabel="log evidence ratio of the past, discrete against Gaussian (n predictions at 1 to K-1 exemplars)",
        ylabel="rise of the loss",
    )
    _legend_below(figure)
    return _titled(figure, "Which Gaussian prompts does fine-tuning hurt?", config)


def training_curves(tables: dict[str, list[Row]]) -> Figure:
    """Loss while training, with the level of exact Bayes under the prior of the stage."""
    figure = Figure(figsize=(10, 3.8))
    for axes, (stage, rows) in zip(figure.subplots(1, len(tables)), tables.items(), strict=True):
        for family, colour in (("gaussian", BLUE), ("discrete", ORANGE)):
            for predictor, line in (("network", "-"), ("bayes", "--")):
                chosen = [r for r in rows if (r["prompts"], r["predictor"]) == (family, predictor)]
                steps = sorted({r["step"] for r in chosen})
                seeds = sorted({r["seed"] for r in chosen})
                by_step = {(r["step"], r["seed"]): r["mean"] for r in chosen}
                values = np.array([[by_step[step, seed] for step in steps] for seed in seeds])
                name = "network" if predictor == "network" else "exact Bayes, the stage's prior"
                _curve(axes, Look(f"{name}, {family.capitalize()} prompts", colour, line), steps, values)
        axes.set(title=stage, xlabel="optimiser step", ylabel="noise-free squared error", ylim=(0, None))
    _legend_below(figure)
    n = len({row["seed"] for rows in tables.values() for row in rows})
    figure.suptitle(f"Training; bands: ± 1 standard error over {n} seeds", x=0.01, ha="left")
    return figure


def _curve(axes: Axes, look: Look, x: Sequence[float], values: Values) -> None:
    """Mean and band over seeds [S, x]."""
    _estimates(axes, look, x, [over_seeds(column) for column in values.T])


def _estimates(axes: Axes, look: Look, x: Sequence[float], estimates: Sequence[Estimate | None]) -> None:
    """A line with a band of one standard error; undefined estimates leave a gap."""
    mean = np.array([np.nan if e is None else e.mean for e in estimates])
    stderr = np.nan_to_num(np.array([np.nan if e is None else e.stderr for e in estimates]))
    axes.plot(x, mean, look.line, marker=look.marker, color=look.colour, label=look.label)
    axes.fill_between(x, mean - stderr, mean + stderr, color=look.colour, alpha=0.2, linewidth=0)


def _bin_name(b: int) -> str:
    if b == 0:
        return f"< {CLOSENESS_EDGES[0]:g}"
    if b == len(CLOSENESS_EDGES):
        return f"≥ {CLOSENESS_EDGES[-1]:g}"
    return f"{CLOSENESS_EDGES[b - 1]:g} to {CLOSENESS_EDGES[b]:g}"


def _titled(figure: Figure, title: str, config: Config, spread: str = "bands") -> Figure:
    tasks = config.tasks
    setting = (
        f"d={tasks.dim}, n={tasks.n_discrete}, σ={tasks.noise_std:g}, α={config.pretrain.discrete_prob:g}; "
        f"{len(config.seeds)} seeds × {config.probe.prompts} prompts; {spread}: ± 1 standard error over seeds"
    )
    figure.suptitle(f"{title}\n{setting}", x=0.01, ha="left", fontsize=11)
    return figure


def _legend_below(figure: Figure) -> None:
    """One legend for all panels."""
    entries = {
        label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=3)


def _save(figure: Figure, run: Run, name: str) -> list[Path]:
    paths = []
    for kind in ("png", "svg"):
        picture = BytesIO()
        figure.savefig(picture, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
        run.write(f"figures/{name}.{kind}", picture.getvalue())
        paths.append(run.path(f"figures/{name}.{kind}"))
    return paths
