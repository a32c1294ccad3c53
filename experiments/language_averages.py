"""Do renamed concepts bring back what instruction tuning suppresses: one permutation, or an average of several?

    python experiments/language_averages.py --scale smoke|laptop|paper

A permutation of the concepts leaves the law of fresh documents as it is, so that alone it cannot change their expected
loss; the known tables move. An average of predictions, over permutations or over translations into every language, is
never worse than its members are on average (Jensen), for networks that forgot nothing, too. So every way is net of what
it does to the pretrained network, and stands beside a network that never had the capability (scratch).
"""

import sys
from collections.abc import Mapping

from experiment import LANGUAGES, main
from jax import Array

from implicit_inference.bayes.conjugation import Conjugation, averaged
from implicit_inference.language.world import World
from implicit_inference.measure.formulas import net_recovery, over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES, by_range, networks
from implicit_inference.study.probed import UNDEFINED
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

PLAIN = "as it is"
PERMUTED = {"one permutation": 1, "average of 2": 2, "average of 4": 4, "average of 8": 8}
"""way -> the permutations that are averaged"""
SPOKEN = "average over languages"


def orbits(world: World, seed: Array) -> Mapping[str, tuple[Conjugation, ...]]:
    """The conjugations whose predictions are averaged, by way; those into every language have English among them."""
    permutations, languages = world.choices(seed), range(1, len(world.tasks.languages) + 1)
    translations = tuple(world.conjugation(seed, "translation", language) for language in languages)
    return {way: permutations[:n] for way, n in PERMUTED.items()} | {SPOKEN: translations}


def measure(trained: Trained) -> list[Record]:
    """loss on fresh English documents, by way, network and range."""
    held_out, records, world = HeldOut(trained), list[Record](), World.of(trained.config)
    ways = held_out.packed.by_seed(lambda seed: orbits(world, seed))
    for name, network in networks(trained).items():
        predictors = {PLAIN: network} | {way: averaged(network, ways[way]) for way in (*PERMUTED, SPOKEN)}
        for way, predictor in predictors.items():
            records += by_range(held_out, held_out.loss(predictor, "fresh"), quantity="loss", predictor=name, way=way)
    return records


def conclude(results: Results) -> list[Claim]:
    """Describes what every way changes: one permutation can change nothing, and averages gain by Jensen."""
    claims: list[Claim] = []
    for way in (*PERMUTED, SPOKEN):
        for where in RANGES:
            of = {
                (name, case): results.values(quantity="loss", range=where, predictor=name, way=case)
                for name in ("pretrained", "finetuned", "scratch")
                for case in (PLAIN, way)
            }
            before, after, scratch = (name for name, case in of if case == PLAIN)
            net = net_recovery(of[before, PLAIN], of[after, PLAIN], of[before, way], of[after, way]) or UNDEFINED
            changed = (
                f"{name} {as_text(over_seeds(of[name, way] - of[name, PLAIN]))}" for name in (before, after, scratch)
            )
            numbers = f"net {as_text(net)}; change of the loss: {', '.join(changed)}"
            claims.append((f"{way}, {where}: net recovery", [], numbers))
    return claims


STAGES = ("pretrain", "scratch", "finetune")
EXPERIMENT = Experiment(
    "language_averages", {scale: [{}] for scale in LANGUAGES}, measure, conclude, STAGES, world="language"
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
