"""Which ways to fine-tune suppress what was known before, and which erase it?

    python experiments/methods.py --scale smoke|laptop|workstation|paper

Every method at several strengths, its learning rate, and full fine-tuning held back by replay, by the distance of the
weights or by that of the predictions: gain on the discrete set against forgetting on Gaussian prompts, what one label
scale brings back of it, and how much of it lies on the line between the exact predictors. What is suppressed comes
back; what is erased does not. The last strength of a method is its strongest; of what holds back, it holds back most.
"""

import sys

from experiment import SCALES, main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, listed
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.headline import headline, suppression
from implicit_inference.study.measurements import RANGES
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

GAMMA = 2.0
FACTORS = {
    "full": (0.25, 1, 5),
    "head": (5, 50),
    "values": (1, 5, 25),
    "lora": (5, 15, 50),
    "soft_prompt": (0.5, 5, 50),
    "layers": (1, 5),
}
"""Strengths of a method: learning rates, as multiples of that of full fine-tuning at the scale."""
PENALTIES = {"weights": (1e-3, 1e-2, 1e-1), "predictions": (0.3, 1.0, 3.0)}
REPLAYED = (0.05, 0.2, 0.5)
FIELDS = ("adapt.method", "adapt.layers", "finetune.penalty")
STRENGTHS = ("finetune.learning_rate", "finetune.strength", "finetune.replay")
NUMBERS = {
    **{"gain": "gain", "forgetting": "forgetting", "recovered": "recovered_at", "net": "net_at"},
    **{"by shrinking alone": "shrunk", "on the line": "on_line_share"},
}


def variants(scale: str) -> list[Record]:
    """(what trains, strength) of every variant; `layers` is the first block alone, and the last."""
    usual, last = SCALES[scale].finetune.learning_rate, SCALES[scale].model.layers - 1
    found: list[Record] = []
    for method, factors in FACTORS.items():
        for layer in (0, last) if method == "layers" else (0,):
            trains = {"adapt.method": method, "adapt.layers": [layer]}
            found += [trains | {"finetune.learning_rate": float(f"{factor * usual:.6g}")} for factor in factors]
    for penalty, strengths in PENALTIES.items():
        found += [{"finetune.penalty": penalty, "finetune.strength": strength} for strength in strengths]
    return found + [{"finetune.replay": fraction} for fraction in REPLAYED]


def measure(trained: Trained) -> list[Record]:
    """The headline; recovery at one label scale for all, with its controls; what of the forgetting lies on the line."""
    return headline(trained) + suppression(trained, GAMMA)


def conclude(results: Results) -> list[Claim]:
    """Claims about each way to fine-tune at its last strength, in the order of `variants`."""
    claims: list[Claim] = []
    for name, part in {way(labels): part for labels, part in results.groups(*FIELDS, *STRENGTHS)}.items():
        for where in RANGES:
            above, net = (part.estimate(quantity=quantity, range=where) for quantity in ("above_shrinking", "net_at"))
            claim = f"{name}, {where}: labels × {GAMMA:g} bring back, net of the pretrained, and more than shrinking"
            claims.append((claim, [above, net], f"{where}: {listed(part, NUMBERS, range=where)}"))
    known = listed(part, dict(zip(RANGES, RANGES, strict=True)), by="range", quantity="scratch_at")
    return [*claims, (f"scratch under labels × {GAMMA:g}, of its gap to the pretrained network", [], known)]


def way(labels: Record) -> str:
    """A way to fine-tune, whatever its strength."""
    method = labels["adapt.method"].replace("_", " ")
    trains = f"block {labels['adapt.layers'][0]}" if method == "layers" else method
    penalty = f", penalty on {labels['finetune.penalty']}" if labels["finetune.penalty"] != "none" else ""
    return trains + penalty + (", replay" if labels["finetune.replay"] else "")


EXPERIMENT = Experiment(
    "methods",
    {scale: variants(scale) for scale in SCALES},
    measure,
    conclude,
    ("pretrain", "scratch", "finetune"),
    seeds=4,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
