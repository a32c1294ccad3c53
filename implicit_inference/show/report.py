"""Probes -> one HTML page that needs nothing else: figures, results, configurations side by side, provenance."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from implicit_inference.config.errors import one_line
from implicit_inference.config.fields import Config
from implicit_inference.measure.formulas import RANGES
from implicit_inference.measure.summary import summary_of
from implicit_inference.runs.drafts import owned
from implicit_inference.runs.files import write_whole
from implicit_inference.runs.store import Run, StoreError
from implicit_inference.show import overview, plots, side_by_side
from implicit_inference.show.notation import Notation, estimate
from implicit_inference.show.pages import filled, inline
from implicit_inference.show.results import COLUMNS, DEFINITIONS, Result, results_of

CAPTIONS = {
    "answer": (
        "The loss before and after fine-tuning, as the prompts are and under the conjugation.",
        "At the left, the distance between two lines is what was forgotten. At the right, it is what stays lost. "
        "Scratch is a network that only ever saw fine-tuning's tasks: it never had the capability.",
    ),
    "loss_by_position": (
        "Loss against the number of exemplars in context.",
        "Every predictor answers the same prompts. Dotted and dashed lines are exact Bayes under several priors.",
    ),
    "recovery": (
        "What comes back, by {dial}.",
        "Above: the fraction of the forgetting that is undone. It is net of what the conjugation does to the "
        "pretrained network. Accounts of the fine-tuning predict it; the null, a constant pull, uses no evidence. "
        "The gate is the weight that a network gives to the {preferred} family: no shrinking closes its gap. "
        "Below: the losses themselves. Values under -1.25 are cut.",
    ),
    "origin": (
        "Where the capability went.",
        "Left: the forgetting, on the line between the two exact predictors and off it. Middle: the weight that each "
        "predictor gives to the {preferred} family's exact prediction; a shifted prior moves the curve sideways. "
        "Right: net recovery under every conjugation, measured against two accounts; on the diagonal an account is "
        "right.",
    ),
    "conjugations": (
        "Every conjugation, on three networks.",
        "The one that forgot, the one before it, and one that never knew.",
    ),
    "closeness": (
        "Rise of the loss by how close a {forgotten} prompt looks to the {preferred} family.",
        "All positions but the empty context together: the bins around 0 hold mostly short pasts.",
    ),
    "training": (
        "Losses on held-out prompts while training.",
        "Exact Bayes under the prior of each stage is the floor.",
    ),
}
"""figure -> (what it shows, how to read it)"""


@dataclass(frozen=True)
class Picture:
    """A figure on the page."""

    caption: str
    reading: str
    svg: Markup


@dataclass(frozen=True)
class Content:
    """One probe's part of the page."""

    run: Run
    config: Config
    summary: dict[str, Any]
    findings: list[str]
    figures: list[Picture]
    results: list[Result]


def content_of(run: Run) -> Content:
    """Reads all that the page tells of a probe; raises StoreError, which names the file that cannot be read."""
    config, summary = run.config(), summary_of(run)
    side_by_side.provenance([run])
    figures = _figures(run, Notation.of(config))
    return Content(run, config, summary, findings(summary, config), figures, results_of(run))


def readable(runs: list[Run]) -> list[Content]:
    """Reads the finished probes among `runs`; leaves out those that cannot be read, and names each on stderr.

    Raises StoreError if there are such and none is left.
    """
    found, faults = [], []
    for run in runs:
        try:
            if run.finished:
                found.append(content_of(run))
        except StoreError as fault:
            faults.append(fault)
    if faults and not found:
        raise faults[0]
    for left_out in faults:
        print(one_line(f"left out: {left_out}"), file=sys.stderr)
    return found


def write(probes: list[Content], path: Path) -> Path:
    """Writes the page about the probes and returns its `path`; writes nothing else."""
    configs, summaries = [probe.config for probe in probes], [probe.summary for probe in probes]
    differing, shared = side_by_side.side_by_side(configs)
    names, field = side_by_side.names_of(configs), side_by_side.fields(configs, [*differing, *shared])
    page = filled(
        "show",
        "report.html.jinja",
        letters=[side_by_side.letter(i) for i in range(len(probes))],
        names=names,
        single_seed=all(len(config.seeds) == 1 for config in configs),
        probes=probes,
        loss=side_by_side.loss_of(configs),
        columns=COLUMNS,
        definitions=DEFINITIONS,
        n_ranges=len(RANGES),
        apart={field[path]: values for path, values in side_by_side.set_apart(configs).items()},
        differing={field[path]: values for path, values in differing.items()},
        shared={field[path]: value for path, value in shared.items()},
        comparison=inline(overview.comparison(names, summaries)) if len(probes) > 1 else None,
        provenance=side_by_side.provenance([probe.run for probe in probes]),
    )
    write_whole(path, page)
    return path


def write_beside(probe: Content) -> Path:
    """Writes the page about one probe into its own directory, as report.html, and returns its path."""
    with owned(probe.run):
        return write([probe], probe.run.path("report.html"))


def findings(summary: dict[str, Any], config: Config) -> list[str]:
    """Answers in three short sentences, one number each; an undefined recovery is said to be so."""
    names, forgetting, found = Notation.of(config), summary["forgetting"]["early"], summary["recovery"]["early"]
    forgotten, preferred = (names.family(family) for family in (names.world.forgotten, names.world.preferred))
    change = "raised" if forgetting["mean"] > 0 else "changed"
    first = f"Fine-tuning {change} the loss on {forgotten} prompts, at early positions, by {estimate(forgetting)}."
    if found["mean"] is None:
        return [first, f"What comes back is undefined: {found['undefined']}."]
    dial = names.dial.label.format(found["strength"])
    return [
        first,
        f"Shown as {dial}, the network gets back {estimate(found['net_of_pretrained'])} of it, net of what that does "
        "to the network before.",
        f"A constant pull towards the {preferred} family, which uses no evidence, would bring back "
        f"{estimate(found['net_by_null'])}.",
    ]


def _figures(run: Run, names: Notation) -> list[Picture]:
    pictures = plots.drawn(run, ("svg",))
    preferred, forgotten = (names.family(family) for family in names.world.families)
    words = {"dial": names.dial.axis, "preferred": preferred, "forgotten": forgotten}
    return [
        Picture(caption.format(**words), reading.format(**words), inline(pictures[f"{name}.svg"]))
        for name, (caption, reading) in CAPTIONS.items()
    ]
