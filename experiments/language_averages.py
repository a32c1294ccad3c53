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
from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import NETWORKS, RANGES, by_range, networks, recovery
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

PLAIN = "as it is"
PERMUTED = {"one permutation": 1, "average of 2": 2, "average of 4": 4, "average of 8": 8}
"""way -> the permutations that are averaged"""
SPOKEN = "average over languages"
WAYS = (*PERMUTED, SPOKEN)


def orbits(world: World, seed: Array) -> Mapping[str, tuple[Conjugation, ...]]:
    """The conjugations whose predictions are averaged, by way; those into every language have English among them."""
    permutations, languages = world.choices(seed), range(1, len(world.tasks.languages) + 1)
    translations = tuple(world.conjugation(seed, "translation", language) for language in languages)
    return {way: permutations[:n] for way, n in PERMUTED.items()} | {SPOKEN: translations}


def measure(trained: Trained) -> list[Record]:
    """loss on fresh English documents, by way, network and range; what comes back, by way and range."""
    held_out, records, world = HeldOut(trained), list[Record](), World.of(trained.config)
    orbit_of, losses = held_out.packed.by_seed(lambda seed: orbits(world, seed)), {}
    for name, network in networks(trained).items():
        predictors = {PLAIN: network} | {way: averaged(network, orbit_of[way]) for way in WAYS}
        for way, predictor in predictors.items():
            losses[name, way] = held_out.loss(predictor, "fresh")
            records += by_range(held_out, losses[name, way], quantity="loss", predictor=name, way=way)
    for way in WAYS:
        pairs = [losses[name, case] for case in (PLAIN, way) for name in ("pretrained", "finetuned")]
        records += recovery(held_out, *pairs, way=way)
    return records


def conclude(results: Results) -> list[Claim]:
    """Describes what every way changes: one permutation can change nothing, and averages gain by Jensen."""
    claims: list[Claim] = []
    for way in WAYS:
        for where in RANGES:
            losses, texts = results.where(quantity="loss", range=where), list[str]()
            for name in NETWORKS:
                moved, plain = (losses.values(predictor=name, way=case) for case in (way, PLAIN))
                texts.append(f"{name} {as_text(over_seeds(moved - plain))}")
            net = results.estimate(quantity="net_of_pretrained", range=where, way=way)
            numbers = f"net {as_text(net)}; change of the loss: {', '.join(texts)}"
            claims.append((f"{way}, {where}: net recovery", [], numbers))
    return claims


STAGES = ("pretrain", "scratch", "finetune")
EXPERIMENT = Experiment(
    "language_averages", {scale: [{}] for scale in LANGUAGES}, measure, conclude, STAGES, world="language"
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
