"""How much of pretraining's data must be replayed in fine-tuning to keep what would be forgotten?

    python experiments/replay.py --scale smoke|laptop|paper

Asked by the paper's reviewers. The replayed prompts come from the pretraining mixture.
"""

import sys

from experiment import Experiment, Finding, Results, positive, said
from headline import difference, headline, summary

FRACTIONS = (0.0, 0.05, 0.2, 0.5)
VARIANTS = [{"finetune.replay": fraction} for fraction in FRACTIONS]


def conclude(results: Results) -> list[Finding]:
    findings = []
    for fraction in FRACTIONS:
        less = difference(results, {"finetune.replay": 0.0}, {"finetune.replay": fraction})
        findings.append(
            Finding(
                f"replaying {fraction:g} reduces forgetting" if fraction else "without replay",
                positive(less) if fraction else None,
                (f"less forgetting by {said(less)}; " if fraction else "")
                + summary(results, **{"finetune.replay": fraction}),
            )
        )
    return findings


EXPERIMENT = Experiment("replay", dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS), headline, conclude)

if __name__ == "__main__":
    sys.exit(EXPERIMENT.main())
