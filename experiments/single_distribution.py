"""Does a network that is trained on one task distribution alone become the exact Bayesian predictor for it?

    python experiments/single_distribution.py --scale smoke|laptop|paper

Claim 1: trained on Gaussian tasks alone it matches ridge regression, on a discrete set alone the discrete posterior.
Matching is taken as an excess of at most 5 % of the exact predictor's loss against the noisy label, at all positions
but the empty context together.
"""

import sys

from experiment import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

ALPHAS = [{"pretrain.discrete_prob": alpha} for alpha in (0.0, 1.0)]
TOLERANCE = 0.05


def measure(trained: Trained) -> list[Record]:
    held_out = HeldOut(trained)
    family = "discrete" if trained.config.pretrain.discrete_prob else "gaussian"
    predictors = {
        "network": trained.network("pretrain"),
        "ridge": held_out.forgotten,
        "discrete_posterior": held_out.preferred,
    }
    records = []
    for name, predictor in predictors.items():
        loss = held_out.loss(predictor, family)
        for k in range(trained.config.prompts.length):
            records += held_out.records(loss[:, k], family=family, predictor=name, position=k)
        records += held_out.records(held_out.averaged(loss, "all"), family=family, predictor=name, range="all")
    noise = trained.config.tasks.noise_std**2
    return [record | {"noise_variance": noise} for record in records]


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for family, exact, title in (
        ("gaussian", "ridge", "ridge"),
        ("discrete", "discrete_posterior", "the discrete posterior"),
    ):
        loss = {p: results.values(family=family, predictor=p, range="all") for p in ("network", exact)}
        noise = results.where(family=family).levels("noise_variance")[0]
        excess = loss["network"] - loss[exact]
        relative = excess / (loss[exact] + noise)
        claims.append(
            (
                f"trained on {family} tasks alone, the network matches {title}",
                [over_seeds(TOLERANCE - relative)],
                f"excess {as_text(over_seeds(excess))} on a noise-free loss of {as_text(over_seeds(loss[exact]))}; "
                f"relative to the noisy loss {as_text(over_seeds(relative))} (tolerance {TOLERANCE:g})",
            )
        )
    return claims


EXPERIMENT = Experiment(
    "single_distribution",
    dict.fromkeys(("smoke", "laptop", "paper"), ALPHAS),
    measure,
    conclude,
    ("pretrain",),
    seeds=4,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
