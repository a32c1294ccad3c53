"""A probe -> one HTML page that needs nothing else: figures, numbers, configuration, environment."""

import base64
import json
from pathlib import Path
from typing import Any

import jinja2

from implicit_inference.config import to_toml
from implicit_inference.store import Run

CAPTIONS = {
    "loss_by_position": "Loss against the number of exemplars in context, for every predictor on the same prompts.",
    "recovery": "Recovery by label scaling. Above: fraction of the forgetting undone (positive scales; cut at -1.25); "
    "dashed, an ideal learner whose prior odds shift as the network's seem to, as a fraction of its own forgetting. "
    "Below: the losses themselves.",
    "conjugations": "Every conjugation on the network that forgot, the one before it, and one that never knew.",
    "closeness": "Rise of the loss by how close the past of a Gaussian prompt is to the discrete set; all positions "
    "but the empty context together, so that the bins around 0 hold mostly short pasts.",
    "training": "Losses on held-out prompts while training, with exact Bayes under the prior of each stage.",
}


def write(run: Run) -> Path:
    """Write report.html into the directory of a probe whose figures are drawn; returns its path."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("implicit_inference", "."), autoescape=True, trim_blocks=True
    )
    environment.filters["estimate"] = estimate
    config, summary = run.config(), run.read_json("result.json")["summary"]
    page = environment.get_template("report.html.jinja").render(
        id=run.id,
        seeds=config.seeds,
        prompts=config.probe.prompts,
        findings=findings(summary),
        figures=[{"caption": text, "data": _embedded(run, name)} for name, text in CAPTIONS.items()],
        config=to_toml(config),
        environment=json.dumps(run.read_json("env.json"), indent=2),
        **summary,
    )
    run.write("report.html", page.encode())
    return run.path("report.html")


def estimate(value: dict[str, Any]) -> str:
    """mean ± stderr, as text."""
    if value["mean"] is None:
        return "undefined"
    return f"{value['mean']:.3f}" + ("" if value["stderr"] is None else f" ± {value['stderr']:.3f}")


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
            f"{estimate(found['net_of_pretrained'])} of the gap is closed. A mere shift of the inferred prior "
            f"odds would explain {estimate(found['inference_shift'])} of the forgetting."
        )
    return lines


def _negative(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"mean": -value["mean"]}


def _embedded(run: Run, name: str) -> str:
    picture = run.path(f"figures/{name}.png").read_bytes()
    return "data:image/png;base64," + base64.b64encode(picture).decode()
