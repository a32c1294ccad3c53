"""Do the paper's five claims hold, one number each, corrected for their number?

    python experiments/primary.py --scale smoke|laptop|workstation|paper

1. Trained on one family alone, a network is that family's exact Bayes: the share that it has of what exact Bayes gains
   over an answer without exemplars, of the worse of both families, above 0.9.
2. Pretrained on a mixture it trades one family for the other: from alpha 0.2 to 0.8 the Gaussian loss rises and the
   discrete one falls; the smaller of the two.
3. Fine-tuning on the discrete set lowers the discrete loss and raises the Gaussian one; the smaller of the two.
4. The rise is the largest for the Gaussian prompts most like the set: the quarter whose labels are likeliest under it,
   less the farthest quarter; early positions.
5. Labels times 2 bring back more, net of what they do to the pretrained network, than a constant pull would; early.

Claims 3 to 5 are asked at alpha 0.5.
"""

import sys

import numpy as np
from experiment import FAMILIES, SCALES, main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import by_range
from implicit_inference.study.probed import beyond, net, probed
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

SCALED = ("label_scale", 2.0)


def measure(trained: Trained) -> list[Record]:
    """The probe's rows at alpha 0.5; at each alpha, losses, and the rise by how likely the labels are under the set."""
    held_out, records = HeldOut(trained), list[Record]()
    pure = trained.config.pretrain.discrete_prob in (0.0, 1.0)
    exact = {"discrete": held_out.preferred, "gaussian": held_out.forgotten}
    before, after = (trained.network(stage) for stage in ("pretrain", "finetune"))
    for family in FAMILIES:
        batch = held_out.batch(family)
        blank = held_out.world.score.loss(0 * held_out.truth(batch), held_out.truth(batch)).mean(axis=1)
        for name, loss in (
            ("pretrained", held_out.loss(before, family)),
            ("exact", held_out.loss(exact[family], family)),
        ):
            records += by_range(held_out, loss, quantity="loss", family=family, predictor=name)
        records += by_range(held_out, blank, quantity="loss", family=family, predictor="blank")
    if pure:
        return records
    batch = held_out.batch("gaussian")
    rise = held_out.errors(after, batch) - held_out.errors(before, batch)
    likely = np.argsort(held_out.evidence(batch.prompts), axis=1)
    rise = np.take_along_axis(rise, likely, axis=1)[:, :, held_out.range("early")]
    quarter = rise.shape[1] // 4
    contrast = rise[:, -quarter:].mean(axis=(1, 2)) - rise[:, :quarter].mean(axis=(1, 2))
    return records + held_out.records(contrast, quantity="closest_less_farthest", range="early") + probed(trained)


def conclude(results: Results) -> list[Claim]:
    def loss(alpha: float, family: str, predictor: str = "pretrained") -> np.ndarray:
        part = results.where(pretrain__discrete_prob=alpha, family=family, predictor=predictor, quantity="loss")
        return np.mean([part.values(range=where) for where in ("early", "late")], axis=0)

    shares = []
    for alpha, family in ((0.0, "gaussian"), (1.0, "discrete")):
        blank, part, exact = (loss(alpha, family, name) for name in ("blank", "pretrained", "exact"))
        shares.append((blank - part) / (blank - exact))
    low, high = 0.2, 0.8
    traded = loss(high, "gaussian") - loss(low, "gaussian"), loss(low, "discrete") - loss(high, "discrete")
    middle = results.where(pretrain__discrete_prob=0.5)
    changes = [
        np.mean([middle.values(quantity=of, range=where) for where in ("early", "late")], axis=0)
        for of in ("forgetting", "gain")
    ]
    closest = middle.estimate(quantity="closest_less_farthest", range="early")
    null, measured = (net(middle, "early", name, SCALED) for name in ("constant_pull", "finetuned"))
    numbers = [over_seeds(np.minimum(*pair)) for pair in (shares, traded, changes)]
    above = over_seeds(np.minimum(*shares) - 0.9)
    return [
        ("1. trained on one family alone, it is exact Bayes", [above], f"share {as_text(numbers[0])}; benchmark 0.9"),
        ("2. a mixture trades one family for the other", [numbers[1]], f"the smaller change: {as_text(numbers[1])}"),
        ("3. fine-tuning gains on the set, and forgets", [numbers[2]], f"the smaller change: {as_text(numbers[2])}"),
        ("4. prompts most like the set are hurt the most", [closest], f"closest less farthest: {as_text(closest)}"),
        (
            "5. labels times 2 bring back more than a constant pull",
            [beyond(middle, "early", SCALED)],
            f"net recovery {as_text(measured)}, the null {as_text(null)}",
        ),
    ]


VARIANTS = [{"pretrain.discrete_prob": alpha} for alpha in (0.0, 0.2, 0.5, 0.8, 1.0)]
EXPERIMENT = Experiment(
    "primary", dict.fromkeys(SCALES, VARIANTS), measure, conclude, ("pretrain", "finetune", "scratch"), primary=True
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
