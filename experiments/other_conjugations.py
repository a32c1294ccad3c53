"""Which maps of a prompt bring the forgotten capability back: single ones, averages over a group, a choice per prompt?

    python experiments/other_conjugations.py --scale smoke|laptop|workstation|paper

Asked by the paper's reviewers. Rotations and sign flips leave the law of Gaussian prompts unchanged, so that alone they
cannot change the expected loss: they act through an average of predictions, which by Jensen never hurts and also helps
networks that forgot nothing, or through a choice per prompt: the map under which the past is least likely to come from
the discrete set. So each is shown for the pretrained network and for one that never had the capability (scratch), too.
"""

import sys

from experiment import SCALES, main
from jax import Array

from implicit_inference import keys
from implicit_inference.bayes.conjugation import Conjugation, averaged
from implicit_inference.keys import Stream
from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.measure.lookup import IDENTITY, Case
from implicit_inference.regression.conjugations import rotations, scales, selected, sign_flips
from implicit_inference.runs.store import Record
from implicit_inference.show.notation import Notation
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES, RECOVERIES, by_range, conjugations, networks, recovery
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained
from implicit_inference.worlds import described

TURNS, MOST_FLIPS = 8, 4
"""The group of all sign changes of the inputs has 2^d elements; beyond 2^4 only the rotations stand for it."""
SINGLE: tuple[Case, ...] = (
    *(IDENTITY, ("label_scale", 1.5), ("label_scale", 2.0), ("label_scale", -1.0)),
    *(("input_scale", 2.0), ("input_scale", 0.5), ("label_shift", 2.0), ("rotation", None)),
)
GROUPS = {
    ("label_scales", None): "label scales 1, 1.5, 2",
    ("label_signs", None): "label signs",
    ("rotations", float(TURNS)): f"{TURNS} rotations",
    ("input_flips", None): "input sign flips",
}
"""Conjugations to average over or to choose among -> their name"""


def orbits(dim: int, seed: Array) -> list[tuple[Conjugation, ...]]:
    """The conjugations of each group, in the order of GROUPS; no flips where they are too many."""
    found = [scales((1.0, 1.5, 2.0)), scales((1.0, -1.0)), rotations(keys.stream(seed, Stream.ROTATIONS), dim, TURNS)]
    return found + [sign_flips(dim)] * (dim <= MOST_FLIPS)


def measure(trained: Trained) -> list[Record]:
    held_out, losses, records = HeldOut(trained), {}, list[Record]()
    packed, world, dim = held_out.packed, held_out.world, trained.config.tasks.dim
    discrete = packed.by_seed(lambda seed: world.families(seed)["discrete"])
    noise_std = packed.repeated(trained.config.tasks.noise_std)
    singles, groups = conjugations(held_out, SINGLE), packed.by_seed(lambda seed: orbits(dim, seed))
    for name, network in networks(trained).items():
        for case, move in singles.items():
            losses[name, "single", case] = held_out.loss(network, "gaussian", move)
        for case, orbit in zip(GROUPS, groups, strict=False):
            losses[name, "average", case] = held_out.loss(averaged(network, orbit), "gaussian")
            losses[name, "choice", case] = held_out.loss(selected(network, orbit, discrete, noise_std), "gaussian")
    plain = [losses[name, "single", IDENTITY] for name in ("pretrained", "finetuned")]
    for (name, way, case), loss in losses.items():
        labels = {"way": way, "conjugation": case[0], "strength": case[1]}
        records += by_range(held_out, loss, quantity="loss", predictor=name, **labels)
        if name == "finetuned":
            records += recovery(held_out, *plain, losses["pretrained", way, case], loss, **labels)
    return records


def conclude(results: Results) -> list[Claim]:
    claims, names = list[Claim](), Notation(described("regression"))
    pretrained = results.where(quantity="loss", predictor="pretrained", range="early")
    for labels, part in results.groups("way", "conjugation", "strength"):
        way, *case = labels.values()
        if way != "single" or case[0] != "identity":
            found, net = ({w: part.estimate(quantity=q, range=w) for w in RANGES} for q in RECOVERIES)
            change = over_seeds(pretrained.values(**labels) - pretrained.values(way="single", conjugation="identity"))
            title = f"{way}, {GROUPS.get(tuple(case)) or names.conjugation(*case)}"
            claim = f"{title}: recovers early, net of what it does for the pretrained network"
            parts = (f"{where} {as_text(found[where])} (net {as_text(net[where])})" for where in RANGES)
            numbers = f"{', '.join(parts)}; changes the pretrained loss early by {as_text(change)}"
            claims.append((claim, [] if way == "average" else [net["early"]], numbers))  # averages gain by Jensen
    return claims


EXPERIMENT = Experiment(
    "other_conjugations", {scale: [{}] for scale in SCALES}, measure, conclude, ("pretrain", "scratch", "finetune")
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
