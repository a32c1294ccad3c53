"""Which ways to fine-tune suppress what was known before, and which erase it?

    python experiments/methods.py --scale smoke|laptop|paper

10.5 minutes on 2 cores, in part shared with other work. Expected at laptop scale (4 seeds, mean ± standard error;
tolerance two standard errors: other machines change the last bits, which training amplifies), early: full fine-tuning
at rates 5e-5, 2e-4, 1e-3 gains 0.162 ± 0.019, 0.207 ± 0.030, 0.247 ± 0.042 and forgets 0.321 ± 0.022, 0.531 ± 0.061,
0.788 ± 0.095; label scaling brings back, net of the pretrained network, 0.754 ± 0.036, 0.684 ± 0.049, 0.564 ± 0.060 of
that. For about the same gain, replay of 0.2 (0.183 ± 0.027) forgets 0.361 ± 0.046 and brings back 0.764 ± 0.029; a soft
prompt (0.194 ± 0.033) forgets 0.769 ± 0.075 and brings back 0.587 ± 0.103, late 0.246 ± 0.041; the last block alone
(0.205 ± 0.032) forgets 0.511 ± 0.084 and brings back 0.781 ± 0.022, late 0.545 ± 0.053; the first block (0.199 ± 0.030)
forgets 0.551 ± 0.065 and brings back 0.539 ± 0.065, late 0.284 ± 0.071. The read-out alone gains 0.079 ± 0.013 at most.
That more than half comes back early, at a way's last strength, held for the read-out, the last block, the penalty on
weights and replay: 4 of 10 comparisons. In all ways the shift of the prior odds explains about all of what is forgotten
early (0.90 to 1.39) and 0.36 to 0.76 of it late.

Every method at several strengths, its learning rate, and full fine-tuning held back by replay, by the distance of the
weights or by that of the predictions: gain on the discrete set against forgetting on Gaussian prompts, what label
scaling brings back of it, and how much of it a shift of the inferred prior odds explains. What is suppressed comes
back; what is erased does not. The last strength of a method is its strongest; of what holds back, it holds back most.
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
    """Of each way to fine-tune, its last strength in the order of `variants`."""
    strengths = ("finetune.learning_rate", "finetune.strength", "finetune.replay")
    chosen = {way(row): {name: row[name] for name in (*FIELDS, *strengths)} for row in results.rows}
    claims = []
    for name, labels in chosen.items():

        def number(quantity: str, where: str, labels: dict = labels) -> Estimate:
            return results.estimate(quantity=quantity, where=where, **labels)

        def numbers(where: str, number=number) -> str:
            return (
                f"{where}: gain {said(number('gain', where))}, forgetting {said(number('forgetting', where))}, "
                f"recovered net {said(number('net_of_pretrained', where))}, share of the odds "
                f"{said(number('inference_share', where))}"
            )

        net = number("net_of_pretrained", "early")
        claim = f"{name}, at its last strength: label scaling brings back more than half of what is forgotten early"
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
