"""Does tuning on one skill without instructions suppress the others in English, and does translation bring them back?

    python experiments/code_tuning.py --scale smoke|laptop|paper

The counterpart of code tuning: documents of one deterministic skill (add 1), in English, without instructions. The
other skills are then asked for by their instructions, in English and translated into the second language. In-context
learning of fresh tables stands beside them.
"""

import sys

from experiment import main
from jax import Array

from implicit_inference import keys
from implicit_inference.keys import Stream
from implicit_inference.language.score import accuracy
from implicit_inference.language.world import ENGLISH, World
from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.measure.lookup import IDENTITY, Case
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import conjugations
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

NETWORKS = {"pretrained": "pretrain", "finetuned": "finetune"}
ASKED = {"others": "accuracy on the other skills", "fresh": "accuracy on fresh tables"}
WAYS: dict[str, Case] = {"English": IDENTITY, "translated": ("translation", 2.0)}
PLACES = {"none": "no", "early": "few", "late": "many"}
"""Range of positions, or the first answer -> how many exemplars are in context"""


def measure(trained: Trained) -> list[Record]:
    """accuracy on documents that ask for the other skills, and on fresh ones, by way and place."""
    held_out, records = HeldOut(trained), list[Record]()
    world, n = World.of(trained.config), trained.config.probe.prompts

    def others(seed: Array) -> object:
        writing = world.written(world.skills(seed), ENGLISH, range(trained.config.tasks.skills - 1))
        return world.sample(keys.stream(seed, Stream.OTHER_SKILLS), writing, n)

    batches = {"others": held_out.packed.by_seed(others), "fresh": held_out.batch("fresh")}
    moves = conjugations(held_out, WAYS.values())
    for asked, batch in batches.items():
        truth = held_out.truth(batch)
        for name, stage in NETWORKS.items():
            for way, case in WAYS.items():
                answers = held_out.answers(trained.network(stage), batch, moves[case])
                found = accuracy(answers, truth).mean(axis=1)
                for place in list(PLACES)[asked == "fresh" :]:  # no fresh table is known without an exemplar
                    values = found[:, 0] if place == "none" else held_out.averaged(found, place)
                    records += held_out.records(values, asked=asked, predictor=name, way=way, place=place)
    return records


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for labels, part in results.groups("finetune.steps", "asked", "place"):
        steps, asked, place = labels.values()
        of = {(name, way): part.values(predictor=name, way=way) for name in NETWORKS for way in WAYS}
        numbers = ", ".join(f"{' '.join(cell)} {as_text(over_seeds(values))}" for cell, values in of.items())
        falls, elsewhere = (of["pretrained", way] - of["finetuned", way] for way in WAYS)
        claim = f"{steps} steps, {PLACES[place]} exemplars: {ASKED[asked]} falls, and more than in translation"
        claims.append((claim, [over_seeds(falls), over_seeds(falls - elsewhere)], numbers))
    return claims


def doses(*steps: int) -> list[Record]:
    return [{"finetune.tasks": "code", "finetune.steps": n} for n in steps]


VARIANTS = {"smoke": doses(60), "laptop": doses(100, 200, 400, 800), "paper": doses(200, 800)}
EXPERIMENT = Experiment("code_tuning", VARIANTS, measure, conclude, ("pretrain", "finetune"), world="language")

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
