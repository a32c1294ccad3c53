"""Probes -> one HTML page that needs nothing else: figures, results, configurations side by side, provenance."""

import base64
import json
from pathlib import Path
from typing import Any

import jinja2

from implicit_inference import compare, notation, plots
from implicit_inference.losses import RANGES, Losses
from implicit_inference.notation import estimate
from implicit_inference.store import Run, write_whole
from implicit_inference.summary import summary_of

CAPTIONS = {
    "loss_by_position": "Loss against the number of exemplars in context, for every predictor on the same prompts.",
    "recovery": "Recovery by label scaling. Above: fraction of the forgetting undone (positive scales; cut at -1.25); "
    "dashed, an ideal learner whose prior odds shift as the network's seem to, as a fraction of its own forgetting. "
    "Below: the losses themselves.",
    "origin": "Where the capability went. Left: the forgetting, what an ideal learner with the effective priors would "
    "show of it (inference shift), and the rest. Middle: the weight that each predictor gives to the discrete "
    "posterior, against exact Bayes; a shifted prior moves the curve sideways. Right: the conjugations, the identity "
    "among them, ranked by the loss that this learner shows and by the measured one; 1 = the lowest loss.",
    "conjugations": "Every conjugation on the network that forgot, the one before it, and one that never knew.",
    "closeness": "Rise of the loss by how close the past of a Gaussian prompt is to the discrete set; all positions "
    "but the empty context together, so that the bins around 0 hold mostly short pasts.",
    "training": "Losses on held-out prompts while training, with exact Bayes under the prior of each stage.",
}


def write(runs: list[Run], path: Path) -> Path:
    """Draw the figures of the probes, write the page about them, and return its `path`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("implicit_inference", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"estimate": estimate, "counted": notation.counted}
    configs, summaries = [run.config() for run in runs], [summary_of(run) for run in runs]
    differing, shared = compare.side_by_side(configs)
    names = compare.names_of(configs)
    page = environment.get_template("report.html.jinja").render(
        letters=[compare.letter(i) for i in range(len(runs))],
        runs=[
            {
                "id": run.id,
                "name": name,
                "config": config,
                "summary": summary,
                "findings": findings(summary),
                "figures": _figures(run),
                "results": compare.result_rows(Losses(run.read_table("table.parquet"), config), summary),
            }
            for run, name, config, summary in zip(runs, names, configs, summaries, strict=True)
        ],
        columns=compare.COLUMNS,
        n_ranges=len(RANGES),
        differing={notation.field(path): values for path, values in differing.items()},
        shared={notation.field(path): value for path, value in shared.items()},
        comparison=_embedded(plots.comparison(names, summaries)) if len(runs) > 1 else None,
        provenance=[stage | {"raw": json.dumps(stage["environment"], indent=2)} for stage in compare.provenance(runs)],
    )
    write_whole(path, page.encode())
    return path


def findings(summary: dict[str, Any]) -> list[str]:
    """What the numbers say, in sentences; an undefined recovery is said to be so."""
    lines = [
        f"Fine-tuning changed the loss on discrete prompts by {estimate(_negative(summary['gain']))} and on Gaussian "
        f"prompts by {estimate(summary['forgetting'])}, averaged over {summary['positions']['all']}."
    ]
    for where in ("early", "late"):
        found = summary["recovery"][where]
        if found["mean"] is None:
            lines.append(f"At {where} positions the recovered fraction is undefined: {found['undefined']}.")
            continue
        moved = {name: estimate(summary["controls"][name][where]["conjugated"]) for name in ("finetuned", "scratch")}
        lines.append(
            f"At {where} positions ({summary['positions'][where]}) scaling labels by {found['strength']:g} recovers "
            f"{estimate(found)} of the forgetting, {estimate(found['above_shrink_only'])} more than shrinking "
            f"predictions alone, to a loss of {moved['finetuned']}; a network that never had the capability is at "
            f"{moved['scratch']}. The same scaling changes the loss of the pretrained network by "
            f"{estimate(summary['controls']['pretrained'][where]['change'])}; net of that, "
            f"{estimate(found['net_of_pretrained'])} of the gap is closed."
        )
    return [*lines, *_origin(summary)]


def _origin(summary: dict[str, Any]) -> list[str]:
    """Where the capability went, in two sentences."""
    odds = [estimate(summary["effective_prior"][name]["logit"]) for name in ("pretrained", "finetuned")]
    parts = {where: summary["attribution"][where] for where in ("early", "late")}
    split = [
        f"at {where} positions {estimate(found['inference_shift'])} of {estimate(found['forgetting'])} "
        f"(share: {estimate(found['share'])})"
        for where, found in parts.items()
    ]
    ranking = summary["ranking"]["early"]["by_loss"]
    return [
        f"Where did the capability go? The prior odds with which exact Bayes best imitates the network, median and "
        f"range over seeds, went from {odds[0]} to {odds[1]} in log odds. That shift alone would raise the distance "
        f"to ridge by: {'; '.join(split)}. The rest is lost capability.",
        f"Exact Bayes with the later odds ranks the conjugations as the network does with Kendall's τ = "
        f"{estimate(ranking['kendall'])} (Spearman's ρ = {estimate(ranking['spearman'])}; early positions, by loss).",
    ]


def _negative(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"mean": -value["mean"]}


def _figures(run: Run) -> list[dict[str, str]]:
    plots.draw_all(run)
    return [
        {"caption": text, "data": _embedded(run.path(f"figures/{name}.png").read_bytes())}
        for name, text in CAPTIONS.items()
    ]


def _embedded(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode()
