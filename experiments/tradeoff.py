"""A network trained on a mixture: which loss does it trade off, and how far is it from the exact Bayesian trade-off?

    python experiments/tradeoff.py --scale smoke|laptop|paper

Claim 2: pretrained on alpha D_disc + (1 - alpha) D_cont, the network is the better on discrete prompts and the worse
on Gaussian ones the larger alpha is; it is short of exact Bayes on discrete prompts, and closes that gap slowly. Losses
are those of the validation prompts, averaged over all positions, as training goes on.
"""

import sys
from dataclasses import replace

import numpy as np
from experiment import FAMILIES, main
from jax import tree

from implicit_inference.measure.formulas import Values, over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained
from implicit_inference.training.programs import VALIDATION_PROMPTS

ALPHAS = (0.2, 0.5, 0.8)
VARIANTS = [{"pretrain.discrete_prob": alpha} for alpha in ALPHAS]
PRIORS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99, 0.999)


def measure(trained: Trained) -> list[Record]:
    table = trained.run_of("pretrain").read_table("training.parquet")
    records = [
        {"step": record["step"], "family": record["family"], "predictor": "network"}
        | {"seed": record["seed"], "mean": record["mean"], "n": VALIDATION_PROMPTS}
        for record in table
        if record["predictor"] == "network"
    ]
    held_out = HeldOut(trained)
    for prior in PRIORS:
        exact = trained.programs.bayes_losses(replace(trained.config.pretrain, discrete_prob=prior))
        losses = tree.map(
            np.asarray, exact(trained.programs.packed.seeds, {f: trained.programs.validation[f] for f in FAMILIES})
        )
        for family, loss in losses.items():
            found = held_out.records(loss, prior=prior, family=family, predictor="bayes")
            records += [record | {"n": VALIDATION_PROMPTS} for record in found]
    return records


def conclude(results: Results) -> list[Claim]:
    steps = sorted(results.levels("step"))
    half, last = min(steps, key=lambda step: abs(step - steps[-1] / 2)), steps[-1]

    def loss(alpha: float, family: str, step: int = last) -> Values:
        return results.values(pretrain__discrete_prob=alpha, step=step, family=family)

    def gap(alpha: float, family: str, step: int = last) -> Values:
        """[S]: the excess over exact Bayes under the same prior."""
        part = results.values(pretrain__discrete_prob=alpha, prior=alpha, family=family)
        return loss(alpha, family, step) - part

    low, high = ALPHAS[0], ALPHAS[-1]
    gaussian = over_seeds(loss(high, "gaussian") - loss(low, "gaussian"))
    discrete = over_seeds(loss(low, "discrete") - loss(high, "discrete"))
    gaps = {alpha: over_seeds(gap(alpha, "discrete")) for alpha in ALPHAS}
    closing = over_seeds(gap(0.5, "discrete", half) - gap(0.5, "discrete"))
    gaussian_gaps = "; ".join(f"alpha {a:g}: {as_text(over_seeds(gap(a, 'gaussian')))}" for a in ALPHAS)
    return [
        (
            f"from alpha {low:g} to {high:g} the loss rises on Gaussian prompts and falls on discrete ones",
            [gaussian, discrete],
            f"rise {as_text(gaussian)}, fall {as_text(discrete)}",
        ),
        (
            "the network is short of exact Bayes on discrete prompts",
            list(gaps.values()),
            "; ".join(f"alpha {a:g}: {as_text(g)}" for a, g in gaps.items())
            + f" (on Gaussian prompts {gaussian_gaps})",
        ),
        (
            "it closes that gap with steps (alpha 0.5)",
            [closing],
            f"from step {half} to {last} the gap shrinks by {as_text(closing)} to {as_text(gaps[0.5])}",
        ),
    ]


EXPERIMENT = Experiment(
    "tradeoff", dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS), measure, conclude, ("pretrain",)
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
