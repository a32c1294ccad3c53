"""Probes -> one HTML page that needs nothing else: figures, results, configurations side by side, provenance."""

import base64
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from implicit_inference.config.errors import counted, one_line
from implicit_inference.config.fields import Config
from implicit_inference.measure.formulas import RANGES
from implicit_inference.measure.summary import summary_of
from implicit_inference.runs.drafts import owned
from implicit_inference.runs.files import write_whole
from implicit_inference.runs.store import Run, StoreError
from implicit_inference.show import overview, plots, side_by_side
from implicit_inference.show.notation import Notation, estimate
from implicit_inference.show.results import COLUMNS, Result, results_of
from implicit_inference.worlds import described

CAPTIONS = {
    "loss_by_position": "Loss against the number of exemplars in context, for every predictor on the same prompts.",
    "recovery": "Recovery by {dial}. Above: the fraction of the forgetting undone, net of what the conjugation does to "
    "the pretrained network (positive strengths; cut at -1.25), beside what accounts of the fine-tuning say; the null, "
    "a constant pull, uses no evidence. The gate cannot be closed by shrinking. Below: the losses themselves.",
    "origin": "Where the capability went. Left: the forgetting, on the line between the two exact predictors and off "
    "it. Middle: the weight that each predictor gives to the {preferred} family's exact prediction, and exact Bayes'; "
    "a shifted prior moves the curve sideways. Right: net recovery under every conjugation, measured against two "
    "accounts, as far as the axes reach; on the diagonal an account is right.",
    "conjugations": "Every conjugation on the network that forgot, the one before it, and one that never knew.",
    "closeness": "Rise of the loss by how close the past of a {forgotten} prompt is to the {preferred} family; all "
    "positions but the empty context together, so that the bins around 0 hold mostly short pasts.",
    "training": "Losses on held-out prompts while training, with exact Bayes under the prior of each stage.",
}


@dataclass(frozen=True)
class Content:
    """One probe's part of the page."""

    run: Run
    config: Config
    summary: dict[str, Any]
    findings: list[str]
    figures: list[dict[str, str]]
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
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("implicit_inference.show", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"estimate": estimate, "counted": counted}
    configs, summaries = [probe.config for probe in probes], [probe.summary for probe in probes]
    differing, shared = side_by_side.side_by_side(configs)
    names, fields = side_by_side.names_of(configs), Notation.of(configs[0])
    page = environment.get_template("report.html.jinja").render(
        letters=[side_by_side.letter(i) for i in range(len(probes))],
        names=names,
        single_seed=all(len(config.seeds) == 1 for config in configs),
        probes=probes,
        loss=fields.loss,
        columns=COLUMNS,
        n_ranges=len(RANGES),
        differing={fields.field(path): values for path, values in differing.items()},
        shared={fields.field(path): value for path, value in shared.items()},
        comparison=_embedded(overview.comparison(names, summaries)) if len(probes) > 1 else None,
        provenance=side_by_side.provenance([probe.run for probe in probes]),
    )
    write_whole(path, page.encode())
    return path


def write_beside(probe: Content) -> Path:
    """Writes the page about one probe into its own directory, as report.html, and returns its path."""
    with owned(probe.run):
        return write([probe], probe.run.path("report.html"))


def findings(summary: dict[str, Any], config: Config) -> list[str]:
    """Puts the numbers into sentences; an undefined recovery is said to be so."""
    names, gained = Notation.of(config), described(config.world).gain_family(config)
    _, after, scratch = list(summary["controls"])[:3]
    lines = [
        f"Fine-tuning changed the loss on {names.family(gained)} prompts by {estimate(_negative(summary['gain']))} "
        f"and on {names.family(names.world.forgotten)} prompts by {estimate(summary['forgetting'])}, averaged over "
        f"{summary['positions']['all']}."
    ]
    for where in ("early", "late"):
        found = summary["recovery"][where]
        if found["mean"] is None:
            lines.append(f"At {where} positions the recovered fraction is undefined: {found['undefined']}.")
            continue
        conjugated = {name: estimate(summary["controls"][name][where]["conjugated"]) for name in (after, scratch)}
        lines.append(
            f"At {where} positions ({summary['positions'][where]}) the conjugation "
            f"{names.dial.label.format(found['strength'])} brings back {estimate(found['net_of_pretrained'])} of the "
            f"forgetting, net of what it does to the pretrained network; that is "
            f"{estimate(found['above_shrink_only'])} more than the best change of predictions alone. The loss becomes "
            f"{conjugated[after]}; a network that never had the capability is at {conjugated[scratch]}."
        )
    return [*lines, *_attribution(summary, names)]


def _attribution(summary: dict[str, Any], names: Notation) -> list[str]:
    """Says where the capability went, in four sentences."""
    odds = [estimate(prior["logit"]) for prior in summary["effective_prior"].values()]
    exact = names.predictor(names.world.exact[names.world.forgotten])
    split = "; ".join(
        f"at {where} positions {estimate(found['on_line'])} of {estimate(found['forgetting'])} "
        f"(share: {estimate(found['share'])})"
        for where, found in ((where, summary["attribution"][where]) for where in ("early", "late"))
    )
    numbers = {where: summary["accounts"][where]["prior_and_weight"]["numbers"] for where in ("early", "late")}
    fits = "; ".join(
        f"{where}: log odds {estimate(found['odds']['before'])} to {estimate(found['odds']['after'])}, weight "
        f"{estimate(found['weight']['before'])} to {estimate(found['weight']['after'])}"
        for where, found in numbers.items()
    )
    nets = "; ".join(
        f"{where} {estimate(found['net_by_null'])}, measured {estimate(found['net_of_pretrained'])}"
        for where, found in ((where, summary["recovery"][where]) for where in ("early", "late"))
    )
    return [
        f"Does that need inference? The null is a constant pull towards the {names.family(names.world.preferred)} "
        f"family, which uses no evidence. Net, it would bring back: {nets}.",
        f"Where did the capability go? Of the rise of the distance to {exact}, the part on the line between the two "
        f"exact predictors is: {split}. The rest is off the line: the capability itself has changed.",
        f"The prior odds with which exact Bayes best imitates the network, median and range over seeds, went from "
        f"{odds[0]} to {odds[1]} in log odds.",
        f"Read as a gate on the line, the network changed its prior log odds and the weight it gives the evidence, "
        f"1 for an ideal learner. {fits[0].upper()}{fits[1:]}.",
    ]


def _negative(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"mean": -value["mean"]}


def _figures(run: Run, names: Notation) -> list[dict[str, str]]:
    pictures = plots.drawn(run, ("png",))
    preferred, forgotten = (names.family(family) for family in names.world.families)
    words = {"dial": names.dial.axis, "preferred": preferred, "forgotten": forgotten}
    return [
        {"caption": text.format(**words), "data": _embedded(pictures[f"{name}.png"])} for name, text in CAPTIONS.items()
    ]


def _embedded(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode()
