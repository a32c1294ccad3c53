"""Does the effect need the tasks of pretraining? Fine-tuning on another set, a part of the set, a narrow Gaussian.

    python experiments/finetuning_sets.py --scale smoke|laptop|paper

Asked by the paper's reviewers. If fine-tuning shifts the odds between two known families, a set that pretraining never
held offers no such shortcut: what is learned there must be new, and prior odds cannot bring the old loss back.
"""

import sys

from experiment import Experiment, Finding, Results, positive, said
from headline import difference, forgetting, headline, summary

from implicit_inference.metrics import over_seeds

SETS = ({}, {"finetune.tasks": "other"}, {"finetune.tasks": "narrow"})


def variants(*subsets: int) -> list[dict]:
    """The sets, and the first m tasks of the discrete one."""
    return [*SETS, *({"finetune.n_tasks": m} for m in subsets)]


def conclude(results: Results) -> list[Finding]:
    sets = {"the discrete set": {"finetune.tasks": "discrete", "finetune.n_tasks": 0}}
    sets["another set"] = {"finetune.tasks": "other", "finetune.n_tasks": 0}
    sets["a narrow Gaussian"] = {"finetune.tasks": "narrow", "finetune.n_tasks": 0}
    for m in results.levels("finetune.n_tasks"):
        if m:
            sets[f"{m} of the discrete tasks"] = {"finetune.tasks": "discrete", "finetune.n_tasks": m}
    whole = sets["the discrete set"]
    findings = []
    for name, labels in sets.items():
        more = "" if labels == whole else f"; more than the whole set by {said(difference(results, labels, whole))}"
        forgets = positive(over_seeds(forgetting(results, **labels)))
        findings.append(Finding(f"fine-tuning on {name} forgets", forgets, summary(results, **labels) + more))
    return findings


EXPERIMENT = Experiment(
    "finetuning_sets",
    {"smoke": variants(1), "laptop": variants(1, 2), "paper": variants(4, 16)},
    headline,
    conclude,
)

if __name__ == "__main__":
    sys.exit(EXPERIMENT.main())
