"""Does tuning on one skill without instructions suppress the others in English, and does translation bring them back?

    python experiments/code_tuning.py --scale smoke|laptop|paper

The counterpart of code tuning: documents of one deterministic skill (add 1), in English, without instructions. The
other skills are then asked for by their instructions, in English and in the second language.
"""

import sys

from experiment import main

from implicit_inference.measure.formulas import Values, over_seeds
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES
from implicit_inference.study.probed import probed
from implicit_inference.study.results import Results

AS_IT_IS: Record = {"conjugation": "identity"}
SECOND: Record = {"conjugation": "translation", "strength": 2.0}


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for labels, part in results.groups("finetune.steps"):
        for where in RANGES:
            records = part.where(quantity="accuracy", range=where)

            def accuracy(family: str, of: str, case: Record = AS_IT_IS, records: Results = records) -> Values:
                return records.values(family=family, predictor=of, **case)

            before, after = (accuracy("known", of) for of in ("pretrained", "finetuned"))
            translated = accuracy("known", "finetuned", SECOND)
            there = [accuracy("known_elsewhere", of) for of in ("pretrained", "finetuned")]
            texts = [as_text(over_seeds(values)) for values in (before, after, translated, *there)]
            numbers = "accuracy {} before, {} after, {} translated; in the second language {} before, {} after".format(
                *texts
            )
            claim = (
                f"{labels['finetune.steps']} steps, {where}: accuracy on known tables falls, translation brings it back"
            )
            claims.append((claim, [over_seeds(before - after), over_seeds(translated - after)], numbers))
    return claims


def doses(*steps: int) -> list[Record]:
    return [{"finetune.tasks": "code", "finetune.steps": n} for n in steps]


VARIANTS = {"smoke": doses(60), "laptop": doses(100, 200, 400), "paper": doses(200)}
EXPERIMENT = Experiment(
    "code_tuning", VARIANTS, probed, conclude, ("pretrain", "finetune", "scratch"), world="language"
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
