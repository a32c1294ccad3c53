"""How much of pretraining's data must be replayed in fine-tuning to keep what would be forgotten?

    python experiments/replay.py --scale smoke|laptop|paper

Asked by the paper's reviewers. The replayed prompts come from the pretraining mixture.
"""

import sys

from experiment import main

from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.headline import difference, headline, summary
from implicit_inference.study.results import Results

FRACTIONS = (0.0, 0.05, 0.2, 0.5)
VARIANTS = [{"finetune.replay": fraction} for fraction in FRACTIONS]


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for fraction in FRACTIONS:
        less = difference(results, {"finetune.replay": 0.0}, {"finetune.replay": fraction})
        claims.append(
            (
                f"replaying {fraction:g} reduces forgetting, in the mean of early and late"
                if fraction
                else "without replay",
                [less] if fraction else [],
                (f"less forgetting by {as_text(less)}; " if fraction else "")
                + summary(results, **{"finetune.replay": fraction}),
            )
        )
    return claims


EXPERIMENT = Experiment("replay", dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS), headline, conclude, seeds=4)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
