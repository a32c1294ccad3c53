"""Does translation bring back the in-context learning that instruction tuning in English suppresses?

    python experiments/translation.py --scale smoke|laptop|paper

Networks that read several languages are tuned to follow instructions, in English alone or (the negative control) in all
languages evenly. An English document is translated, answered, and the answer translated back. Measured and claimed as
in origin.py. Accuracy says how often the likeliest word is the right one.

Beside the null stands the shrink-only control: the best power of the answers to the untranslated prompt.
"""

import sys

from experiment import LANGUAGES, TRANSLATED, main

from implicit_inference.language.score import accuracy
from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.measure.lookup import IDENTITY, SHRUNK, Case
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES, conjugations
from implicit_inference.study.probed import MEASURED, beyond_null, changes, further, net, probed, rises
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

VARIANTS: list[Record] = [{"finetune.tasks": tasks} for tasks in ("english", "evenly")]
TUNED = {"english": "tuned in English", "evenly": "tuned in all languages"}
SECOND: Case = ("translation", 2.0)
WAYS = {"before": ("pretrain", IDENTITY), "after": ("finetune", IDENTITY), "translated": ("finetune", SECOND)}
"""Answers whose accuracy is measured at every number of exemplars -> stage, conjugation"""


def measure(trained: Trained) -> list[Record]:
    """The probe's rows; the accuracy on fresh English documents by number of exemplars."""
    held_out, records = HeldOut(trained), probed(trained)
    batch, moves = held_out.batch("fresh"), conjugations(held_out, [IDENTITY, SECOND])
    right = held_out.truth(batch)
    for way, (stage, case) in WAYS.items():
        found = accuracy(held_out.answers(trained.network(stage), batch, moves[case]), right).mean(axis=1)
        for k, values in enumerate(found.T):
            records += held_out.records(values, quantity="accuracy_at", way=way, exemplars=k)
    return records


def conclude(results: Results) -> list[Claim]:
    """Claims of recovery and of accuracy; that translation brings back less where all languages were tuned."""
    claims: list[Claim] = []
    tuned = {labels["finetune.tasks"]: part for labels, part in results.groups("finetune.tasks")}
    for tasks, part in tuned.items():
        name = TUNED[tasks]
        claims += beyond_null(part, name, TRANSLATED) + changes(part, name)
        for where in RANGES:
            records = part.where(quantity="accuracy", range=where, family="fresh")
            before, after = (records.values(predictor=of, conjugation="identity") for of in ("pretrained", MEASURED))
            translated = records.values(predictor=MEASURED, conjugation=SECOND[0], strength=SECOND[1])
            found = [as_text(over_seeds(values)) for values in (before, after, translated)]
            numbers = "accuracy {} before, {} after, {} translated".format(*found)
            effects = [over_seeds(before - after), over_seeds(translated - after)]
            claims.append((f"{name}, {where}: accuracy falls, and translation brings it back", effects, numbers))
    for where in RANGES:
        english, evenly = (rises(tuned[tasks], where, MEASURED, SECOND) for tasks in TUNED)
        shrunk = rises(tuned["english"], where, MEASURED, SHRUNK)
        nets = [as_text(net(tuned[tasks], where, MEASURED, SECOND)) for tasks in TUNED]
        numbers = "net {} tuned in English, {} in all languages".format(*nets)
        claims.append(
            (
                f"{where}: translation brings back less where all languages were tuned",
                [further(*english, *evenly)],
                numbers,
            )
        )
        numbers = f"net {nets[0]}, by the best power {as_text(net(tuned['english'], where, MEASURED, SHRUNK))}"
        claims.append(
            (f"{where}: translation brings back more than the best power", [further(*english, *shrunk)], numbers)
        )
    return claims


STAGES = ("pretrain", "finetune", "scratch")
EXPERIMENT = Experiment("translation", dict.fromkeys(LANGUAGES, VARIANTS), measure, conclude, STAGES, world="language")

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
