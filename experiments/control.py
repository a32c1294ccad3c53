"""Do control tokens that were tuned on the frozen network first give more control than those trained with it at once?

    python experiments/control.py --scale smoke|laptop|workstation|paper

One control for each preference, a mixture with the given probability of the discrete set (alpha 0, 0.5, 1). Stage 1
trains the controls alone, stage 2 controls and network together; the steps of both stages add up to the same number
in every variant, from joint training (all in stage 2) to stage 1 alone. Beside them: stage 1 in addition to joint
training's steps, half as many more, so that what it gains may be that of more steps; a hand-made control, drawn once
and never trained, while the network trains; and plain fine-tuning on the same prompts without any control.

Controllability is the loss under the wrong control less that under the right one, averaged over the discrete and the
Gaussian family; exact Bayes under the two priors has one too. It grows where the right answer gets better and where the
wrong one gets worse, so that the loss under the right control is claimed apart. The rise of a family's loss is that
over the pretrained network, under its right control and without any: on Gaussian prompts, forgetting. The middle
control asks for what pretraining showed, and so does plain fine-tuning: both should stay where they were.

Rates were chosen on seeds 100 and 101 by the loss under the right control, each where its neighbours do no better: for
stage 1 alone, for joint training, where controls and network have one rate, and for stage 2 after stage 1, in halves.
At paper scale both stages have the rates of the preset, untried.
"""

import sys
from typing import Any

import numpy as np
from experiment import SCALES, main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text, listed
from implicit_inference.study.controllability import (
    ADDED,
    ALONE,
    HALVES,
    JOINT,
    Parts,
    against_joint,
    controllability,
    two_stages,
)
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES
from implicit_inference.study.results import Results

GRADES = (0.0, 0.5, 1.0)
PARTS: dict[str, list[Parts]] = {
    "soft_prompt": [JOINT, (0.25, 0.75), HALVES, (0.75, 0.25), ALONE, ADDED],
    "lora": [JOINT, HALVES, ALONE, ADDED],
}
"""Steps of the two stages, by what a control is"""
CHOSEN = {"soft_prompt": (1e-2, 5e-3, 2e-3), "lora": (3e-2, 2e-2, 2e-3)}
"""Learning rates of stage 1, of joint training, and of stage 2 after stage 1, by what a control is"""
OTHERS: dict[str, tuple[str, Parts, Record]] = {
    **{f"soft prompts of {n}, in halves": ("soft_prompt", HALVES, {"adapt.prompt_length": n}) for n in (1, 16)},
    **{f"lora of rank {r}, in halves": ("lora", HALVES, {"adapt.rank": r}) for r in (1, 8)},
    "hand-made soft prompts, never trained": ("soft_prompt", JOINT, {"train": "network"}),
}
"""Variants that no claim is about: what a control is, the steps of the two stages, what else differs."""
GAINS = {"controllability": "more controllability than joint", "right_loss": "less loss under the right control"}
STAGES = ("pretrain", "finetune", "tune", "steer")
MEASURED = {"controllability": "controllability", "loss under the right control": "right_loss"}


def variants(scale: str) -> list[Record]:
    """Splits of the steps for soft prompts and for low-rank additions, a hand-made control, lengths and ranks."""
    base, usual = SCALES[scale], (SCALES[scale].tune.learning_rate, SCALES[scale].steer.learning_rate)
    plain = {"discrete_prob": float(np.mean(GRADES)), "batch": len(GRADES) * base.steer.batch}
    plain |= {"target": base.steer.target, "learning_rate": (usual if scale == "paper" else CHOSEN["soft_prompt"])[1]}

    def variant(method: str, parts: Parts, **changes: Any) -> Record:
        first, jointly, after = (*usual, usual[1]) if scale == "paper" else CHOSEN[method]
        rates = first, jointly if parts == JOINT else after
        found = {"control.grades": GRADES} | two_stages(base.finetune.steps, parts, rates)
        found |= {"control.adapt.method": method} | {f"control.{name}": value for name, value in changes.items()}
        return found | {f"finetune.{name}": value for name, value in plain.items()}

    splits = [variant(method, parts) for method, taken in PARTS.items() for parts in taken]
    return splits + [variant(method, parts, **changes) for method, parts, changes in OTHERS.values()]


def in_words(part: Results) -> str:
    """The numbers of one variant in a line."""
    parts = []
    for where in RANGES:
        rises = {"rise on Gaussian prompts under it": "controlled", "without any": "uncontrolled"}
        rise = listed(part, rises, by="predictor", quantity="rise", family="gaussian", range=where)
        parts.append(f"{where}: {listed(part, MEASURED, predictor='controlled', range=where)}, {rise}")
    odds = ", ".join(part.prior_odds(predictor="controlled", grade=grade) for grade in GRADES)
    return "; ".join([*parts, f"inferred prior log odds {odds}"])


def conclude(results: Results) -> list[Claim]:
    """Claims about stage 1 first, in halves and in addition, against joint training; the others are described."""
    total, claims = max(results.levels("steer.steps")), list[Claim]()

    def of(method: str, parts: Parts, **changes: Any) -> Results:
        labels = {"adapt.prompt_length": 4, "adapt.rank": 2, "train": "both"} | changes | {"adapt.method": method}
        labels = {f"control.{name}": value for name, value in labels.items()}
        stages = dict(zip(("tune.steps", "steer.steps"), (round(part * total) for part in parts), strict=True))
        return results.where(**labels, **stages)

    for method, taken in PARTS.items():
        name = method.replace("_", " ")
        claims += against_joint(name, {parts: of(method, parts) for parts in taken}, GAINS)
        for first, second in taken:
            text = f"{name}, {first:.0%} of the steps in stage 1, {second:.0%} in stage 2"
            claims.append((text, [], in_words(of(method, (first, second)))))
    claims += [(name, [], in_words(of(method, parts, **more))) for name, (method, parts, more) in OTHERS.items()]
    ideal, texts = of("soft_prompt", HALVES), []
    for where in RANGES:
        rise = ideal.estimate(quantity="rise", predictor="plain", family="gaussian", range=where)
        exact = listed(ideal, MEASURED, predictor="ideal", range=where)
        texts.append(f"{where}: {exact}; plain fine-tuning, rise on Gaussian prompts {as_text(rise)}")
    return [*claims, ("exact Bayes, and plain fine-tuning", [], "; ".join(texts))]


EXPERIMENT = Experiment(
    "control", {scale: variants(scale) for scale in SCALES}, controllability, conclude, STAGES, seeds=4
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
