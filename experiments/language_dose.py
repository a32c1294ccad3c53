"""How do forgetting by language and recovery grow with the dose of instruction tuning?

    python experiments/language_dose.py --scale smoke|laptop|paper

Steps of instruction tuning in English, from a fourth of the usual number to four times as many. Measured and claimed as
in translation.py.
"""

import sys

from experiment import TRANSLATED, main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.probed import beyond_null, changes, probed
from implicit_inference.study.results import Results


def dial(*values: int) -> list[Record]:
    return [{"finetune.steps": value} for value in values]


def conclude(results: Results) -> list[Claim]:
    """Claims of recovery at every value; then how the losses have changed, by family and language."""
    claims: list[Claim] = []
    for labels, part in results.groups("finetune.steps"):
        name = "{} steps".format(labels["finetune.steps"])
        claims += beyond_null(part, name, TRANSLATED) + changes(part, name)
    return claims


VARIANTS = {"smoke": dial(30, 60), "laptop": dial(50, 100, 200, 400, 800), "paper": dial(200, 800)}
EXPERIMENT = Experiment(
    "language_dose", VARIANTS, probed, conclude, ("pretrain", "finetune", "scratch"), world="language"
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
