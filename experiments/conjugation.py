"""Does scaling the labels bring the Gaussian capability back, at which scale, mixture and number of exemplars?

    python experiments/conjugation.py --scale smoke|laptop|paper

Claim 5: label scaling (gamma 1.5, 2, 3) recovers part of the ridge solution, most at few exemplars. Controls: the same
scaling of the pretrained network and of one that never had the capability (scratch).
"""

import sys

from experiment import main
from tradeoff import ALPHAS, VARIANTS

from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES, RECOVERIES, by_range, conjugations, networks, recovery
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

SCALES = (0.5, 1.0, 1.25, 1.5, 2.0, 3.0)


def scaled(strength: float) -> Record:
    """The labels of a label scale; 1 moves nothing."""
    return {"conjugation": "label_scale", "strength": strength}


def measure(trained: Trained) -> list[Record]:
    held_out, records = HeldOut(trained), list[Record]()
    moves = conjugations(held_out, [("label_scale", g) for g in SCALES])
    loss = {
        (name, g): held_out.loss(network, "gaussian", move)
        for name, network in networks(trained).items()
        for g, move in zip(SCALES, moves.values(), strict=True)
    }
    for (name, g), values in (loss | {("ridge", 1.0): held_out.loss(held_out.forgotten, "gaussian")}).items():
        records += by_range(held_out, values, quantity="loss", predictor=name, **scaled(g))
    for g in SCALES:
        losses = [loss[name, strength] for strength in (1.0, g) for name in ("pretrained", "finetuned")]
        records += recovery(held_out, *losses, **scaled(g))
        for quantity, formula in RECOVERIES.items():
            for k in range(trained.config.prompts.length):
                found = formula(*(values[:, k] for values in losses))
                records.append(held_out.estimate(found, quantity=quantity, **scaled(g), position=k))
    return records


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for alpha in ALPHAS:
        for g in (1.5, 2.0, 3.0):
            part = results.where(pretrain__discrete_prob=alpha, **scaled(g))
            found, net = ({where: part.estimate(quantity=q, range=where) for where in RANGES} for q in RECOVERIES)
            numbers = [
                f"{where} {as_text(found[where])} (net of the pretrained {as_text(net[where])})" for where in RANGES
            ]
            claim = f"alpha {alpha:g}: labels times {g:g} recover part of the early forgetting, net as well"
            claims.append((claim, [found["early"], net["early"]], ", ".join(numbers)))
    return claims


EXPERIMENT = Experiment(
    "conjugation",
    dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS),
    measure,
    conclude,
    ("pretrain", "scratch", "finetune"),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
