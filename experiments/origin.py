"""Does what comes back after fine-tuning need inference, and how does that depend on the share of the discrete set?

    python experiments/origin.py --scale smoke|laptop|workstation|paper

The alpha ladder. Networks pretrained on alpha D_disc + (1 - alpha) D_cont are fine-tuned on D_disc alone. What labels
times 2 bring back, net of what they do to the pretrained network, stands beside what accounts of the fine-tuning say of
it. The null, a constant pull towards the discrete posterior, uses no evidence: only what lies beyond it is inference.
The gate is the weight of the discrete posterior in the network's predictions; no shrinking closes its gap. `choice`
shows each past by the rotation under which it looks least like the set, and stays in the law of pretraining.
"""

import sys

from experiment import MOVES, SCALES, main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.probed import beyond_null, probed
from implicit_inference.study.results import Results


def ladder(*alphas: float) -> list[Record]:
    return [{"pretrain.discrete_prob": alpha} for alpha in alphas]


def conclude(results: Results) -> list[Claim]:
    """Claims at every rung: labels x 2, and the chosen rotation, bring back more than the null."""
    return [
        claim
        for labels, part in results.groups("pretrain.discrete_prob")
        for claim in beyond_null(part, f"alpha {labels['pretrain.discrete_prob']:g}", MOVES)
    ]


VARIANTS = dict.fromkeys(SCALES, ladder(0.2, 0.5, 0.8)) | {
    "laptop": ladder(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "workstation": ladder(0.5, 0.8),
    "paper": ladder(0.5),
}
EXPERIMENT = Experiment("origin", VARIANTS, probed, conclude, ("pretrain", "finetune", "scratch"))

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
