"""Do control tokens that were tuned on the frozen network first give more control than those trained with it at once?

    python experiments/control.py --scale smoke|laptop|workstation|paper

One control for each preference, a mixture with the given probability of the discrete set (alpha 0, 0.5, 1). Stage 1
trains the controls alone, stage 2 controls and network together; the steps of both stages add up to the same number
in every variant, from joint training (all in stage 2) to stage 1 alone. Beside them: a hand-made control, drawn once
and never trained, while the network trains; and plain fine-tuning on the same prompts without any control.

Controllability is the loss under the wrong control less that under the right one, averaged over the discrete and the
Gaussian family; exact Bayes under the two priors has one too. It grows where the right answer gets better and where the
wrong one gets worse, so that the loss under the right control is claimed apart. The rise of a family's loss is that
over the pretrained network, under its right control and without any: on Gaussian prompts, forgetting. The middle
control asks for what pretraining showed, and so does plain fine-tuning: both should stay where they were.

Rates were chosen on seeds 100 and 101 by the loss under the right control, of 3e-3 to 1e-1 for stage 1 and, in joint
training, of 2e-4 to 2e-2 for stage 2, where controls and network have one rate. At paper scale both stages have the
rates of the preset, untried.
"""

import sys
from typing import Any

import numpy as np
from experiment import SCALES, main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text, listed
from implicit_inference.study.controllability import controllability, two_stages
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES
from implicit_inference.study.results import Results

GRADES = (0.0, 0.5, 1.0)
SPLITS = {"soft_prompt": (0.0, 0.25, 0.5, 0.75, 1.0), "lora": (0.0, 0.5, 1.0)}
"""Fractions of the steps that stage 1 takes, by what a control is."""
CHOSEN = {"soft_prompt": (1e-2, 5e-3), "lora": (3e-2, 2e-2)}
"""Learning rates of the two stages, by what a control is."""
OTHERS: dict[str, tuple[str, float, Record]] = {
    **{f"soft prompts of {n}, in halves": ("soft_prompt", 0.5, {"adapt.prompt_length": n}) for n in (1, 16)},
    **{f"lora of rank {r}, in halves": ("lora", 0.5, {"adapt.rank": r}) for r in (1, 8)},
    "hand-made soft prompts, never trained": ("soft_prompt", 0.0, {"train": "network"}),
}
"""Variants that no claim is about: what a control is, the fraction of stage 1, what else differs."""
GAINS = {"controllability": "more controllability than joint", "right_loss": "less loss under the right control"}
STAGES = ("pretrain", "finetune", "tune", "steer")
MEASURED = {"controllability": "controllability", "loss under the right control": "right_loss"}


def variants(scale: str) -> list[Record]:
    """Splits of the steps for soft prompts and for low-rank additions, a hand-made control, lengths and ranks."""
    base, usual = SCALES[scale], (SCALES[scale].tune.learning_rate, SCALES[scale].steer.learning_rate)
    plain = {"discrete_prob": float(np.mean(GRADES)), "batch": len(GRADES) * base.steer.batch}
    plain |= {"target": base.steer.target, "learning_rate": (usual if scale == "paper" else CHOSEN["soft_prompt"])[1]}

    def variant(method: str, split: float, **changes: Any) -> Record:
        """Stage 1 for a fraction of the steps, stage 2 for the rest."""
        rates = usual if scale == "paper" else CHOSEN[method]
        found = {"control.grades": GRADES} | two_stages(base.finetune.steps, split, rates)
        found |= {"control.adapt.method": method} | {f"control.{name}": value for name, value in changes.items()}
        return found | {f"finetune.{name}": value for name, value in plain.items()}

    splits = [variant(method, split) for method, splits in SPLITS.items() for split in splits]
    return splits + [variant(method, split, **changes) for method, split, changes in OTHERS.values()]


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
    """Claims about equal halves against joint training; all other variants are described."""
    total, claims = max(results.levels("steer.steps")), list[Claim]()

    def of(method: str, split: float, **changes: Any) -> Results:
        labels = {"adapt.prompt_length": 4, "adapt.rank": 2, "train": "both"} | changes | {"adapt.method": method}
        labels = {f"control.{name}": value for name, value in labels.items()}
        return results.where(**labels, **{"tune.steps": round(split * total)})

    for method, splits in SPLITS.items():
        name = method.replace("_", " ")
        for where in RANGES:
            for quantity, gain in GAINS.items():
                labels: Record = {"quantity": quantity, "range": where, "predictor": "controlled"}
                change = of(method, 0.5).values(**labels) - of(method, 0).values(**labels)
                found = over_seeds(change if quantity == "controllability" else -change)
                claims.append((f"{name}, stage 1 first: {gain}, {where}", [found], as_text(found)))
        for split in splits:
            claims.append((f"{name}, {split:.0%} of the steps in stage 1", [], in_words(of(method, split))))
    claims += [(name, [], in_words(of(method, split, **more))) for name, (method, split, more) in OTHERS.items()]
    ideal, parts = of("soft_prompt", 0.5), []
    for where in RANGES:
        rise = ideal.estimate(quantity="rise", predictor="plain", family="gaussian", range=where)
        exact = listed(ideal, MEASURED, predictor="ideal", range=where)
        parts.append(f"{where}: {exact}; plain fine-tuning, rise on Gaussian prompts {as_text(rise)}")
    return [*claims, ("exact Bayes, and plain fine-tuning", [], "; ".join(parts))]


EXPERIMENT = Experiment(
    "control", {scale: variants(scale) for scale in SCALES}, controllability, conclude, STAGES, seeds=4
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
