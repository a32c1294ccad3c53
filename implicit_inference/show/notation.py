"""How names are written: the one map from the names in tables and configurations to labels, symbols and colours."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from implicit_inference.config.errors import counted

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
    """How one predictor is named and drawn, everywhere."""

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
    "bayes_effective_pretrained": Look("exact Bayes, effective prior before", BLUE, "--"),
    "bayes_effective_finetuned": Look("exact Bayes, effective prior after", RED, "--"),
    "oracle": Look("oracle (knows w)", GREY, ":"),
    "shrink_only": Look("fine-tuned, shrunk only", GREY, "-."),
    "bayes_effective": Look("exact Bayes with the effective priors", BLACK, "--"),
    "moved": Look("fine-tuned, labels × {:g}", SKY),
    "network": Look("network", BLUE),
    "ideal": Look("ideal learner with the inferred prior odds", BLACK, "--"),
}

FAMILIES = {"gaussian": "Gaussian", "discrete": "discrete", "finetuning": "fine-tuning", "both": "both"}

CONJUGATIONS = {
    "identity": "as they are",
    "label_scale": "labels × {:g}",
    "input_scale": "inputs ÷ {:g}",
    "label_shift": "labels + ⟨v, x⟩, |v| = {:g}",
    "rotation": "inputs rotated",
    "shrink_only": "predictions shrunk only",
}

SYMBOLS = {
    "tasks.dim": "d",
    "tasks.n_discrete": "n",
    "tasks.prior_std": "τ",
    "tasks.noise_std": "σ",
    "prompts.length": "K",
    "pretrain.discrete_prob": "α",
    "pretrain.steps": "pretraining steps",
    "finetune.discrete_prob": "α (fine-tuning)",
    "finetune.batch": "batch",
    "finetune.replay": "replayed fraction",
    "tasks.relu_features": "ReLU features",
    "probe.label_scales": "γ",
    "probe.input_scales": "c",
    "probe.label_shifts": "|v|",
}

RANGES = {"all": "all positions", "early": "early positions", "late": "late positions"}


def look(predictor: str) -> Look:
    """The look of a predictor; one without an entry goes by its name."""
    return LOOKS.get(predictor, Look(predictor.replace("_", " "), GREY))


def predictor(name: str) -> str:
    return look(name).label


def family(name: str) -> str:
    return FAMILIES.get(name, name)


def conjugation(name: str, strength: float | None = None) -> str:
    """`label_scale`, 2 -> `labels × 2`; one without an entry goes by its name."""
    text = CONJUGATIONS.get(name, name.replace("_", " ") + ("" if strength is None else " {:g}"))
    return text if strength is None else text.format(strength)


def field(path: str) -> str:
    """`tasks.dim` -> `d (tasks.dim)`; fields without a symbol go by their path."""
    return f"{SYMBOLS[path]} ({path})" if path in SYMBOLS else path


def spread(seeds: int, drawn: str) -> str:
    """Says what is drawn around a mean over seeds, which has no standard error where there is one seed."""
    return f"; {drawn}: ± 1 standard error over seeds" if seeds > 1 else ""


def bins(edges: tuple[float, ...]) -> list[str]:
    """The names of the half-open bins between edges, open at both ends."""
    inner = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"< {edges[0]:g}", *inner, f"≥ {edges[-1]:g}"]


def estimate(value: dict[str, Any]) -> str:
    """mean ± stderr, as text; of log odds, the median and the range over seeds, and how many of them have no limit."""
    if value["mean"] is None:
        return "undefined"
    if "median" in value:
        of_all = f"; no limit in {value['unlimited']} of {counted(value['seeds'], 'seed')}"
        unlimited = of_all if value["unlimited"] else ""
        return f"{value['median']:.2f} ({value['lowest']:.2f} to {value['highest']:.2f}{unlimited})"
    return mean_text(value["mean"], math.nan if value["stderr"] is None else value["stderr"])


def mean_text(mean: float, stderr: float, digits: int = 3) -> str:
    """`1.000 ± 0.100`; the mean alone where it has no standard error."""
    return f"{mean:.{digits}f}" + (f" ± {stderr:.{digits}f}" if math.isfinite(stderr) else "")
