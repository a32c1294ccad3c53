"""Which ways to tune for instructions in English forget the least, and of which does translation bring the most back?

    python experiments/language_methods.py --scale smoke|laptop|paper

All parameters, low-rank additions, a soft prompt; replay of pretraining's documents; documents in all languages, where
translation should bring nothing back. Measured and claimed as in translation.py.

Rates were chosen on seeds 100 and 101 at laptop scale: those whose loss on known English documents is the nearest to
that of all parameters at the preset's rate, the smallest of equals, of 3e-3 to 2e-2 for low rank, 5e-3 to 1e-1 for the
soft prompt, 5e-4 to 4e-3 with replay, and 2.5e-4 to 2e-3 in all languages. At paper scale they are untried.
"""

import sys

from experiment import TRANSLATED, main

from implicit_inference.config.changes import override
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.probed import beyond_null, changes, probed
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

FIELDS = ("adapt.method", "finetune.learning_rate", "finetune.replay", "finetune.tasks")
WAYS = {
    "full": ("full", 5e-4, 0.0, "english"),
    "low rank": ("lora", 1e-2, 0.0, "english"),
    "soft prompt": ("soft_prompt", 5e-2, 0.0, "english"),
    "half replay": ("full", 1e-3, 0.5, "english"),
    "all languages": ("full", 1e-3, 0.0, "evenly"),
}
"""name -> what trains, at which rate, the fraction of replay, the documents"""
VARIANTS: list[Record] = [dict(zip(FIELDS, way, strict=True)) for way in WAYS.values()]


def measure(trained: Trained) -> list[Record]:
    """The probe's rows, with the name of the way to tune."""
    names = zip(WAYS, VARIANTS, strict=True)
    way = next(name for name, variant in names if override(trained.config, variant) == trained.config)
    return [record | {"way": way} for record in probed(trained)]


def conclude(results: Results) -> list[Claim]:
    """Claims of recovery for every way; then how the losses have changed, by family and language."""
    claims: list[Claim] = []
    for labels, part in results.groups("way"):
        claims += beyond_null(part, labels["way"], TRANSLATED) + changes(part, labels["way"])
    return claims


STAGES = ("pretrain", "finetune", "scratch")
SCALES = {"smoke": [VARIANTS[0], VARIANTS[-1]], "laptop": VARIANTS, "paper": VARIANTS}
EXPERIMENT = Experiment("language_methods", SCALES, measure, conclude, STAGES, world="language")

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
