"""Do forgetting and recovery by label scaling survive where tasks are not linear in the inputs?

    python experiments/nonlinear.py --scale smoke|laptop|paper

Tasks answer <w, relu(V x)> with a hidden layer V that belongs to the world and that the network must learn; exact Bayes
knows it. Label scaling is the conjugation that still keeps the task family.
"""

import sys

from experiment import main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.headline import headline, summary
from implicit_inference.study.results import Results


def hidden(*sizes: int) -> list[Record]:
    return [{"tasks.relu_features": m} for m in (0, *sizes)]


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for m in results.levels("tasks.relu_features"):
        labels = {"tasks.relu_features": m}
        early = [results.estimate(quantity=q, range="early", **labels) for q in ("forgetting", "net_of_pretrained")]
        claims.append(
            (
                ("linear tasks" if m == 0 else f"tasks on {m} ReLU features")
                + " are forgotten early, and scaling brings some back, net of what it does for the pretrained network",
                early,
                summary(results, **labels),
            )
        )
    return claims


EXPERIMENT = Experiment(
    "nonlinear", {"smoke": hidden(4), "laptop": hidden(8), "paper": hidden(40)}, headline, conclude, seeds=4
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
