"""Does the effect need the tasks of pretraining? Fine-tuning on another set, a part of the set, a narrow Gaussian.

    python experiments/finetuning_sets.py --scale smoke|laptop|paper

Asked by the paper's reviewers. If fine-tuning shifts the odds between two known families, a set that pretraining never
held offers no such shortcut: what is learned there must be new, and prior odds cannot bring the old loss back.
"""

import sys

from experiment import main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.headline import difference, headline, summary
from implicit_inference.study.measurements import RANGES
from implicit_inference.study.results import Results

SETS: tuple[Record, ...] = ({}, {"finetune.tasks": "other"}, {"finetune.tasks": "narrow"})


def variants(*subsets: int) -> list[Record]:
    """The sets, and the first m tasks of the discrete one."""
    return [*SETS, *({"finetune.n_tasks": m} for m in subsets)]


def conclude(results: Results) -> list[Claim]:
    sets = {"the discrete set": {"finetune.tasks": "discrete", "finetune.n_tasks": 0}}
    sets["another set"] = {"finetune.tasks": "other", "finetune.n_tasks": 0}
    sets["a narrow Gaussian"] = {"finetune.tasks": "narrow", "finetune.n_tasks": 0}
    for m in sorted(results.levels("finetune.n_tasks")):
        if m:
            sets[f"{m} of the discrete tasks"] = {"finetune.tasks": "discrete", "finetune.n_tasks": m}
    whole = sets["the discrete set"]
    claims: list[Claim] = []
    for name, labels in sets.items():
        more = f"; in the mean of both {as_text(difference(results, labels, whole))} more than on the discrete set"
        forgetting = [results.estimate(quantity="forgetting", range=where, **labels) for where in RANGES]
        numbers = summary(results, **labels) + ("" if labels == whole else more)
        claims.append((f"fine-tuning on {name} forgets, early and late", forgetting, numbers))
    return claims


EXPERIMENT = Experiment(
    "finetuning_sets",
    {"smoke": variants(1), "laptop": variants(1, 2), "paper": variants(4, 16)},
    headline,
    conclude,
    seeds=4,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
