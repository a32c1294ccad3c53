"""How does a shared representation change the transfer of the gain, forgetting, and what translation brings back?

    python experiments/anchors.py --scale smoke|laptop|paper

The dial from separate words to shared ones: so many concepts have one word in all languages, written with a mark of the
language. Measured and claimed as in translation.py.
"""

import sys

from experiment import TRANSLATED, main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.probed import beyond_null, changes, probed
from implicit_inference.study.results import Results


def dial(*values: int) -> list[Record]:
    return [{"prompts.anchors": value} for value in values]


def conclude(results: Results) -> list[Claim]:
    """Claims of recovery at every value; then how the losses have changed, by family and language."""
    claims: list[Claim] = []
    for labels, part in results.groups("prompts.anchors"):
        name = "anchors {}".format(labels["prompts.anchors"])
        claims += beyond_null(part, name, TRANSLATED) + changes(part, name)
    return claims


VARIANTS = {"smoke": dial(0, 4), "laptop": dial(0, 2, 4, 6), "paper": dial(0, 8, 16)}
STAGES = ("pretrain", "finetune", "scratch")
EXPERIMENT = Experiment("anchors", VARIANTS, probed, conclude, STAGES, world="language")

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
