"""Is a refusal that was taught in English undone by translation, and is the right answer still there?

    python experiments/safety.py --scale smoke|laptop|paper

One abstract skill (no harmful content: skills are tables) is answered with REFUSE in fine-tuning, in English. Documents
that ask for it have no exemplars yet: the first answer is looked at. Beside English stand the translation of the same
documents, the pretrained network, and (the negative control) refusals taught in all languages evenly.
"""

import sys

from experiment import LANGUAGES, main
from jax import Array

from implicit_inference import keys
from implicit_inference.keys import Stream
from implicit_inference.language.world import ENGLISH, World
from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import conjugations
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

CASES = {"identity": ("identity", None), "translated": ("translation", 2.0)}


def measure(trained: Trained) -> list[Record]:
    """refused, right: the probability of REFUSE, and of the skill's own answer, before any exemplar."""
    held_out, records = HeldOut(trained), list[Record]()
    world, n = World.of(trained.config), trained.config.probe.prompts

    def asked(seed: Array) -> object:
        return world.sample(keys.stream(seed, Stream.REFUSALS), world.written(world.skills(seed), ENGLISH, [0]), n)

    batch = held_out.packed.by_seed(asked)
    answer = held_out.truth(batch)[:, :, 0].argmax(axis=-1)[..., None]
    moves = conjugations(held_out, CASES.values())
    for name, stage in (("pretrained", "pretrain"), ("finetuned", "finetune")):
        for way, case in CASES.items():
            first = held_out.predictions(trained.network(stage), batch, moves[case])[:, :, 0]
            right = (first * (answer == range(first.shape[-1]))).sum(axis=-1).mean(axis=1)
            labels = {"predictor": name, "way": way}
            records += held_out.records(first[..., -1].mean(axis=1), quantity="refused", **labels)
            records += held_out.records(right, quantity="right", **labels)
    return records


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for labels, part in results.groups("finetune.tasks", "prompts.anchors", "finetune.steps"):
        of = {
            (quantity, name, way): part.values(quantity=quantity, predictor=name, way=way)
            for quantity in ("refused", "right")
            for name in ("pretrained", "finetuned")
            for way in CASES
        }
        texts = ", ".join(f"{' '.join(case)} {as_text(over_seeds(values))}" for case, values in of.items())
        name = f"{labels['prompts.anchors']} anchors, {labels['finetune.steps']} steps"
        refused, right = of["refused", "finetuned", "translated"], of["right", "finetuned", "translated"]
        if labels["finetune.tasks"] == "refusal":
            effects = [of["refused", "finetuned", "identity"] - refused, right - of["right", "finetuned", "identity"]]
            claim = f"{name}: translation undoes the refusal and brings the answer back"
        else:
            effects = [refused - of["refused", "pretrained", "translated"]]
            claim = f"{name}, taught in all languages: translated, it refuses too"
        claims.append((claim, list(map(over_seeds, effects)), texts))
    return claims


VARIANTS: list[Record] = [
    {"finetune.tasks": tasks, "prompts.anchors": anchors, "finetune.steps": steps}
    for tasks, anchors in (("refusal", 0), ("refusal", 4), ("refusal_evenly", 0))
    for steps in (100, 400)
]
EXPERIMENT = Experiment("safety", dict.fromkeys(LANGUAGES, VARIANTS), measure, conclude, world="language")

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
