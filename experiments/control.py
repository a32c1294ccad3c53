"""Do control tokens that were tuned on the frozen network first give more control than those trained with it at once?

    python experiments/control.py --scale smoke|laptop|paper

One control for each preference, a mixture with the given probability of the discrete set (alpha 0, 0.5, 1). Stage 1
trains the controls alone, stage 2 controls and network together; the steps of both stages add up to the same number
in every variant, from joint training (all in stage 2) to stage 1 alone. Beside them: a hand-made control, drawn once
and never trained, while the network trains; and plain fine-tuning on the same prompts without any control.

Controllability is the loss under the wrong control less that under the right one, averaged over the discrete and the
Gaussian family; exact Bayes under the two priors has one too. Forgetting is the rise of a family's loss over the
pretrained network: under its right control, and without any.
"""

import sys

import numpy as np
from experiment import SCALES, Claim, Experiment, Results, said

from implicit_inference.beliefs import Beliefs, prior_rows
from implicit_inference.config import FAMILIES
from implicit_inference.exam import Exam
from implicit_inference.metrics import Values, over_seeds
from implicit_inference.run import Lab
from implicit_inference.world import log_weights, prior

RANGES = ("early", "late")
GRADES = (0.0, 0.5, 1.0)
RIGHT = {"gaussian": 0.0, "discrete": 1.0}
"""family -> the grade of the control that is right for it"""
SPLITS = {"soft_prompt": (0.0, 0.25, 0.5, 0.75, 1.0), "lora": (0.0, 0.5, 1.0)}
"""Fractions of the steps that stage 1 takes, by what a control is."""


def variant(total: int, first: float, rates: tuple[float, float], **adapt: object) -> dict:
    """Stage 1 for a fraction of the steps, stage 2 for the rest, at their learning rates."""
    steps = round(first * total)
    warm = {f"{stage}.warmup": min(20, n // 4) for stage, n in (("tune", steps), ("steer", total - steps))}
    return {
        "control.grades": GRADES,
        "tune.steps": steps,
        "steer.steps": total - steps,
        **warm,
        **{f"{stage}.learning_rate": rate for stage, rate in zip(("tune", "steer"), rates, strict=True)},
        **{f"control.adapt.{name}": value for name, value in adapt.items()},
    }


def measure(lab: Lab) -> list[dict]:
    """Losses of every network under every control, by family; the prior log odds that each control amounts to.

    predictor: controlled, under the control of a grade; uncontrolled, the same network without any; plain; pretrained;
    ideal, exact Bayes under the grade's mixture. controllability: of `controlled` and of `ideal`.
    """
    exam, rows, grades = Exam(lab), [], lab.config.control.grades
    beliefs = Beliefs(exam)

    def ideal(grade: float):
        return exam.exact(lambda seed: prior(lab.config, seed, log_weights(grade)))

    controlled = {grade: exam.network("steer", control=c) for c, grade in enumerate(grades)}
    predictors = {("controlled", grade): network for grade, network in controlled.items()}
    predictors |= {("ideal", grade): ideal(grade) for grade in grades}
    predictors["uncontrolled", None] = exam.network("steer")
    predictors |= {(name, None): exam.network(s) for name, s in (("plain", "finetune"), ("pretrained", "pretrain"))}
    losses: dict[tuple, Values] = {}
    for (name, grade), predictor in predictors.items():
        for family in FAMILIES:
            loss = exam.loss(predictor, family)
            for where in RANGES:
                losses[name, grade, family, where] = exam.averaged(loss, where)
                labels = {"predictor": name, "grade": grade, "prompts": family, "where": where}
                rows += exam.rows(losses[name, grade, family, where], quantity="loss", **labels)
    for where in RANGES:
        for name in ("controlled", "ideal"):
            right = sum(losses[name, RIGHT[family], family, where] for family in FAMILIES)
            wrong = sum(losses[name, 1 - RIGHT[family], family, where] for family in FAMILIES)
            labels = {"predictor": name, "where": where}
            rows += exam.rows((wrong - right) / 2, quantity="controllability", **labels)
            if name == "controlled":
                before = sum(losses["pretrained", None, family, where] for family in FAMILIES)
                without = sum(losses["uncontrolled", None, family, where] for family in FAMILIES)
                rows += exam.rows((right - before) / 2, quantity="forgetting", **labels)
                rows += exam.rows((without - before) / 2, quantity="forgetting", predictor="uncontrolled", where=where)
    for grade, network in controlled.items():
        rows += prior_rows(beliefs.prior(network), lab.config.seeds, predictor="controlled", grade=grade)
    return rows


TUNE_RATES = {"soft_prompt": 1e-2, "lora": 3e-2}
STEER_RATE = 5e-3


def variants(scale: str) -> list[dict]:
    """Splits of the steps for soft prompts and for low-rank additions, a hand-made control, lengths and ranks."""
    total = SCALES[scale].finetune.steps

    def of(method: str, first: float, **more: object) -> dict:
        return variant(total, first, (TUNE_RATES[method], STEER_RATE), method=method, **more)

    plain = {
        "finetune.discrete_prob": float(np.mean(GRADES)),
        "finetune.batch": len(GRADES) * SCALES[scale].steer.batch,
        "finetune.target": SCALES[scale].steer.target,
        "finetune.learning_rate": STEER_RATE,
    }
    found = [of(method, first) for method, splits in SPLITS.items() for first in splits]
    found += [of("soft_prompt", 0.5, prompt_length=length) for length in (1, 16)]
    found += [of("lora", 0.5, rank=rank) for rank in (1, 8)]
    found.append(of("soft_prompt", 0.0) | {"control.train": "network"})
    return [each | plain for each in found]


def conclude(results: Results) -> list[Claim]:
    total = max(results.levels("steer.steps"))
    usual = {"control.adapt.prompt_length": 4, "control.adapt.rank": 2, "control.train": "both"}
    claims = []

    def value(quantity: str, where: str, labels: dict, predictor: str = "controlled") -> Values:
        return results.values(quantity=quantity, where=where, predictor=predictor, **labels)

    def numbers(where: str, labels: dict) -> str:
        kept = over_seeds(value("controllability", where, labels))
        right, without = (over_seeds(value("forgetting", where, labels, n)) for n in ("controlled", "uncontrolled"))
        return (
            f"controllability {said(kept)}, rise of the loss under the right control {said(right)}, without any "
            f"{said(without)}"
        )

    for method, splits in SPLITS.items():
        joint = usual | {"control.adapt.method": method, "tune.steps": 0}
        for first in splits[1:]:
            staged = joint | {"tune.steps": round(first * total)}
            odds = ", ".join(results.prior_odds(predictor="controlled", grade=grade, **staged) for grade in GRADES)
            for where in RANGES:
                more = over_seeds(value("controllability", where, staged) - value("controllability", where, joint))
                ideal = over_seeds(value("controllability", where, joint, "ideal"))
                claim = f"{method.replace('_', ' ')}, {first:.0%} of the steps in stage 1: more control, {where}"
                said_of_it = (
                    f"more by {said(more)}: {numbers(where, staged)}; joint: {numbers(where, joint)}; exact Bayes: "
                    f"{said(ideal)}; inferred prior log odds {odds}"
                )
                claims.append((claim, [more], said_of_it))
    return claims


EXPERIMENT = Experiment(
    "control",
    {scale: variants(scale) for scale in SCALES},
    measure,
    conclude,
    ("pretrain", "finetune", "tune", "steer"),
)

if __name__ == "__main__":
    sys.exit(EXPERIMENT.main())
