"""Did fine-tuning turn a knob: where does the straight path of the weights lead, before and beyond both networks?

    python experiments/weight_path.py --scale smoke|laptop|workstation|paper

Networks at pretrained + t (fine-tuned - pretrained), t from -0.5 to 1.5, on prompts of both families, over the front of
exact Bayes with every prior odds. If the change of the weights is a knob of the prior odds, the path follows the front:
to the other side of the pretrained network (t < 0) Gaussian prompts gain.
"""

import sys

import numpy as np
from experiment import FAMILIES, SCALES, main

from implicit_inference.measure.beliefs import Beliefs
from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.network.interventions import along
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES, by_range
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

PATH = (-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
ODDS = (-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0)


def measure(trained: Trained) -> list[Record]:
    held_out, records = HeldOut(trained), list[Record]()
    packed, beliefs = held_out.packed, Beliefs(held_out)
    before, after = (trained.params_of(stage) for stage in ("pretrain", "finetune"))
    on_path = packed.program(along)
    for t in PATH:
        network = trained.programs.network(on_path(before, after, packed.repeated(np.float32(t))))
        for family in FAMILIES:
            loss = held_out.loss(network, family)
            records += by_range(held_out, loss, quantity="loss", family=family, predictor="network", t=t)
    for odds in ODDS:
        ideal = beliefs.ideal(np.full(len(trained.config.seeds), odds))
        for family in FAMILIES:
            records += by_range(
                held_out, held_out.loss(ideal, family), quantity="loss", family=family, predictor="bayes", prior=odds
            )
    return records


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for labels, part in results.groups("pretrain.discrete_prob"):
        alpha = f"alpha {labels['pretrain.discrete_prob']:g}"
        for where in RANGES:
            path = part.where(range=where, predictor="network", family="gaussian")
            gain = {t: over_seeds(path.values(t=0.0) - path.values(t=t)) for t in PATH}
            numbers = ", ".join(f"t = {t:g}: {as_text(value)}" for t, value in gain.items() if t < 0 or t >= 1)
            claim = f"{alpha}, {where}: at t = -0.5 the Gaussian loss is below the pretrained"
            claims.append((claim, [gain[-0.5]], f"fall of the loss, {numbers}"))
    return claims


VARIANTS: list[Record] = [{"pretrain.discrete_prob": alpha} for alpha in (0.2, 0.5, 0.8)]
EXPERIMENT = Experiment("weight_path", dict.fromkeys(SCALES, VARIANTS), measure, conclude)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
