"""Which ways to fine-tune suppress what was known before, and which erase it?

    python experiments/methods.py --scale smoke|laptop|paper

Every method at several strengths, its learning rate, and full fine-tuning held back by replay, by the distance of the
weights or by that of the predictions: gain on the discrete set against forgetting on Gaussian prompts, what label
scaling brings back of it, and how much of it a shift of the inferred prior odds explains. What is suppressed comes back
and is explained by the odds; what is erased does neither.
"""

import sys

from experiment import Claim, Experiment, Results, said
from headline import headline

from implicit_inference.beliefs import Beliefs
from implicit_inference.exam import Exam
from implicit_inference.metrics import Estimate, attribution
from implicit_inference.origin import share_of
from implicit_inference.run import Lab

RANGES = ("early", "late")
RATES = {
    "full": (5e-5, 2e-4, 1e-3),
    "head": (1e-3, 1e-2),
    "values": (2e-4, 1e-3, 5e-3),
    "lora": (1e-3, 3e-3, 1e-2),
    "soft_prompt": (3e-3, 1e-2, 1e-1),
}
LAYER_RATES = (2e-4, 1e-3)
PENALTIES = {"weights": (1e-3, 1e-2, 1e-1), "predictions": (0.3, 1.0, 3.0)}
REPLAYED = (0.05, 0.2, 0.5)


def variants(last: int) -> list[dict]:
    """(what trains, strength) of every variant, with the last block of a network and the first one for `layers`."""
    found = [
        {"adapt.method": method, "finetune.learning_rate": rate} for method, rates in RATES.items() for rate in rates
    ]
    for layer in (0, last):
        found += [
            {"adapt.method": "layers", "adapt.layers": [layer], "finetune.learning_rate": rate} for rate in LAYER_RATES
        ]
    for penalty, strengths in PENALTIES.items():
        found += [{"finetune.penalty": penalty, "finetune.strength": strength} for strength in strengths]
    return found + [{"finetune.replay": fraction} for fraction in REPLAYED]


def measure(lab: Lab) -> list[dict]:
    """The headline, and the share of the forgetting that a shift of the inferred prior odds explains."""
    exam, rows = Exam(lab), headline(lab)
    beliefs, batch = Beliefs(exam), exam.batch("gaussian")
    ridge = exam.predictions(exam.ridge, batch)
    networks = [exam.network(stage) for stage in ("pretrain", "finetune")]
    predictors = [*networks, *(beliefs.ideal(beliefs.prior(network).logit) for network in networks)]
    distances = [((exam.predictions(predictor, batch) - ridge) ** 2).mean(axis=1) for predictor in predictors]
    for where in RANGES:
        parts = attribution(*(exam.averaged(distance, where) for distance in distances))
        rows.append(exam.estimate(share_of(parts), quantity="inference_share", where=where))
        rows += exam.rows(parts.capability_loss, quantity="capability_loss", where=where)
    return rows


def conclude(results: Results) -> list[Claim]:
    """Of each way to fine-tune, the strongest: the last in the order of `variants`."""
    strengths = ("finetune.learning_rate", "finetune.strength", "finetune.replay")
    strongest = {way(row): {name: row[name] for name in (*FIELDS, *strengths)} for row in results.rows}
    claims = []
    for name, labels in strongest.items():

        def number(quantity: str, where: str, labels: dict = labels) -> Estimate:
            return results.estimate(quantity=quantity, where=where, **labels)

        def numbers(where: str, number=number) -> str:
            return (
                f"{where}: gain {said(number('gain', where))}, forgetting {said(number('forgetting', where))}, "
                f"recovered net {said(number('net_of_pretrained', where))}, share of the odds "
                f"{said(number('inference_share', where))}"
            )

        net = number("net_of_pretrained", "early")
        claim = f"{name}, at its strongest: label scaling brings back more than half of what is forgotten early"
        claims.append((claim, [Estimate(net.mean - 0.5, net.stderr)], "; ".join(map(numbers, RANGES))))
    return claims


FIELDS = ("adapt.method", "adapt.layers", "finetune.penalty")


def way(row: dict) -> str:
    """A way to fine-tune, whatever its strength."""
    method = row["adapt.method"].replace("_", " ")
    layers = f" {row['adapt.layers'][0]}" if row["adapt.method"] == "layers" else ""
    penalty = f", penalty on {row['finetune.penalty']}" if row["finetune.penalty"] != "none" else ""
    return method + layers + penalty + (", replay" if row["finetune.replay"] else "")


EXPERIMENT = Experiment(
    "methods", {"smoke": variants(1), "laptop": variants(3), "paper": variants(11)}, measure, conclude
)

if __name__ == "__main__":
    sys.exit(EXPERIMENT.main())
