"""Does translation bring back the in-context learning that instruction tuning in English suppresses?

    python experiments/translation.py --scale smoke|laptop|paper

Networks that read several languages are tuned to follow instructions, in English alone or (the negative control) in all
languages. An English document is translated, answered, and the answer translated back. Measured and claimed as in
origin.py; accuracy says how often the likeliest word is the right one.
"""

import sys

from experiment import LANGUAGES, TRANSLATED, main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES
from implicit_inference.study.probed import beyond_null, probed
from implicit_inference.study.results import Results

VARIANTS: list[Record] = [{"finetune.tasks": tasks} for tasks in ("english", "discrete")]
TUNED = {"english": "tuned in English", "discrete": "tuned in all languages"}
SECOND = {"conjugation": "translation", "strength": 2.0}


def conclude(results: Results) -> list[Claim]:
    """Claims of recovery, then of accuracy: it falls in English, and comes back in translation."""
    claims: list[Claim] = []
    for labels, part in results.groups("finetune.tasks"):
        name = TUNED[labels["finetune.tasks"]]
        claims += beyond_null(part, name, TRANSLATED)
        for where in RANGES:
            records = part.where(quantity="accuracy", range=where, family="fresh")
            before, after = (records.values(predictor=of, conjugation="identity") for of in ("pretrained", "finetuned"))
            translated = records.values(predictor="finetuned", **SECOND)
            elsewhere = part.estimate(quantity="change", range=where, family="fresh_elsewhere")
            numbers = (
                f"accuracy {as_text(over_seeds(before))} before, {as_text(over_seeds(after))} after, "
                f"{as_text(over_seeds(translated))} translated; the loss rises by "
                f"{as_text(part.estimate(quantity='forgetting', range=where))}, in the second language by "
                f"{as_text(elsewhere)}"
            )
            effects = [over_seeds(before - after), over_seeds(translated - after)]
            claims.append((f"{name}, {where}: accuracy falls, and translation brings it back", effects, numbers))
    return claims


STAGES = ("pretrain", "finetune", "scratch")
EXPERIMENT = Experiment("translation", dict.fromkeys(LANGUAGES, VARIANTS), probed, conclude, STAGES, world="language")

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
