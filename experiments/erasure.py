"""Was the capability erased: how soon is it relearned, and do all measures see it when fine-tuning is hard enough?

    python experiments/erasure.py --scale smoke|laptop|paper

The erasure ladder: fine-tuning at 1, 5 and 25 times its rate, then at that rate for ten times its steps. Relearning is
replay of pretraining's prompts at the usual rate; what it undoes of a rise of the loss stands beside scratch, the
pretrained network damaged at random to the same loss, and a fresh network. A suppressed capability is back in a few
steps; an erased one is as slow as scratch. Net recovery and gates are measured as in origin.py.
"""

import sys

from experiment import SCALES, main
from jax import Array

from implicit_inference.measure.damage import damaged
from implicit_inference.measure.formulas import Values, over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.network.predictions import initial_params
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES, by_range
from implicit_inference.study.probed import gate_closed, net, probed
from implicit_inference.study.relearning import CHUNK, relearned
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

SCALED = ("label_scale", 2.0)


def variants(scale: str) -> list[Record]:
    usual = SCALES[scale].finetune
    ladder: list[Record] = [
        {"finetune.learning_rate": float(f"{factor * usual.learning_rate:g}")} for factor in (1, 5, 25)
    ]
    return [*ladder, ladder[-1] | {"finetune.steps": 10 * usual.steps}]


def measure(trained: Trained) -> list[Record]:
    held_out, records = HeldOut(trained), probed(trained)
    family, packed = held_out.described.forgotten, held_out.packed

    def fresh(seed: Array) -> object:
        return initial_params(trained.config, seed)

    begun = {name: trained.params_of(stage) for name, stage in (("finetuned", "finetune"), ("scratch", "scratch"))}
    begun |= {"damaged_rise": damaged(held_out, "finetune")["damaged_rise"], "fresh": packed.by_seed(fresh)}
    before = held_out.loss(trained.network("pretrain"), family)
    for name, params in begun.items():
        for step, relearning in relearned(trained, params):
            rise = held_out.loss(trained.programs.network(relearning), family) - before
            records += by_range(held_out, rise, quantity="relearning", predictor=name, step=step)
    return records


def undone(results: Results, where: str, name: str, step: int) -> Values:
    """The share [S] of a rise of the loss that so many steps of replay undo."""
    part = results.where(quantity="relearning", predictor=name, range=where)
    return 1 - part.values(step=step) / part.values(step=0)


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for labels, part in results.groups("finetune.learning_rate", "finetune.steps"):
        for where in RANGES:
            shares = {of: undone(part, where, of, CHUNK) for of in ("finetuned", "scratch", "damaged_rise", "fresh")}
            texts = ", ".join(f"{name} {as_text(over_seeds(share))}" for name, share in shares.items())
            numbers = (
                f"undone: {texts}; forgetting {as_text(part.estimate(quantity='forgetting', range=where))}, net "
                f"recovery by labels times 2 {as_text(net(part, where, 'finetuned', SCALED))}, gap of the gates closed "
                f"{as_text(gate_closed(part, where, SCALED))}"
            )
            rung = "rate {:g}, {:g} steps".format(*labels.values())
            claim = f"{rung}, {where}: {CHUNK} steps of replay undo more than they do of scratch"
            claims.append((claim, [over_seeds(shares["finetuned"] - shares["scratch"])], numbers))
    return claims


EXPERIMENT = Experiment(
    "erasure",
    {scale: variants(scale) for scale in ("smoke", "laptop", "paper")},
    measure,
    conclude,
    ("pretrain", "finetune", "scratch"),
    seeds=4,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
