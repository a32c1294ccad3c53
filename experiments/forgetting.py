"""How fast does fine-tuning on the discrete set raise the loss on Gaussian prompts, and how much of it is inference?

    python experiments/forgetting.py --scale smoke|laptop|paper

1.3 minutes on 2 cores with the networks shared with conjugation.py, whose 8 minutes train them. Expected at laptop
scale (4 seeds, mean ± standard error; tolerance two standard errors: other machines change the last bits, which
training amplifies): at alpha 0.2, 0.5, 0.8 the discrete loss, the mean of early and late, falls by 0.312 ± 0.039,
0.138 ± 0.017, 0.036 ± 0.005; the Gaussian loss rises by 0.497 ± 0.075, 0.518 ± 0.053, 0.422 ± 0.061 early and
0.386 ± 0.079, 0.394 ± 0.031, 0.367 ± 0.006 late, half of it by step 80, 60, 40 of 400. The ideal learner loses
0.298 ± 0.046, 0.591 ± 0.039, 0.670 ± 0.069 early and 0.082 ± 0.014, 0.176 ± 0.050, 0.338 ± 0.026 late. The claim held
at every alpha; only early at 0.5 and late at 0.8 does the ideal learner lose about what the network loses.

Claim 3: fine-tuning on D_disc quickly lowers the discrete loss and raises the continuous loss. Beside the network, at
every kept step, stands the ideal learner with the prior odds that best imitate it: what it loses is a shift of task
inference alone.
"""

import sys

import numpy as np
from experiment import FAMILIES, main
from tradeoff import ALPHAS, VARIANTS

from implicit_inference.measure.beliefs import Beliefs, prior_rows
from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Row
from implicit_inference.study.claims import Claim, said
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.results import Results
from implicit_inference.training.checkpoints import kept_steps
from implicit_inference.training.loop import Trained

RANGES = ("early", "late")


def measure(trained: Trained) -> list[Row]:
    held_out, rows = HeldOut(trained), []
    beliefs = Beliefs(held_out)
    for step in kept_steps(trained.run_of("finetune")):
        network = trained.network("finetune", step)
        prior = beliefs.prior(network)
        rows += prior_rows(prior, trained.config.seeds, step=step)
        for name, predictor in (("network", network), ("ideal", beliefs.ideal(prior.logit))):
            for family in FAMILIES:
                loss = held_out.loss(predictor, family)
                for where in RANGES:
                    labels = {"step": step, "quantity": "loss", "predictor": name, "family": family, "range": where}
                    rows += held_out.rows(held_out.averaged(loss, where), **labels)
    for name, predictor in (("ridge", held_out.forgotten), ("discrete_posterior", held_out.preferred)):
        for family in FAMILIES:
            loss = held_out.loss(predictor, family)
            for where in RANGES:
                labels = {"quantity": "loss", "predictor": name, "family": family, "range": where}
                rows += held_out.rows(held_out.averaged(loss, where), **labels)
    return rows


def conclude(results: Results) -> list[Claim]:
    steps = sorted(results.levels("step"))
    first, last = steps[0], steps[-1]
    claims = []
    for alpha in ALPHAS:

        def change(step, family, where, predictor="network", alpha=alpha):
            labels = {"pretrain.discrete_prob": alpha, "family": family, "range": where, "predictor": predictor}
            return results.values(step=step, **labels) - results.values(step=first, **labels)

        gain = over_seeds(-(change(last, "discrete", "early") + change(last, "discrete", "late")) / 2)
        rise = {where: over_seeds(change(last, "gaussian", where)) for where in RANGES}
        total = sum(change(last, "gaussian", where) for where in RANGES)
        halves = [s for s in steps if np.mean(sum(change(s, "gaussian", w) for w in RANGES)) >= np.mean(total) / 2]
        odds = [results.prior_odds(pretrain__discrete_prob=alpha, step=step) for step in (first, last)]
        ideal = {where: over_seeds(change(last, "gaussian", where, "ideal")) for where in RANGES}
        claims.append(
            (
                f"fine-tuning lowers the discrete loss, and raises the Gaussian loss early and late (alpha {alpha:g})",
                [gain, *rise.values()],
                f"discrete loss, the mean of early and late, down by {said(gain)}; Gaussian loss up by "
                f"{said(rise['early'])} early and {said(rise['late'])} late, half of it by step {halves[0]} of {last}; "
                f"inferred prior log odds from {odds[0]} to {odds[1]}, which alone would cost an ideal learner "
                f"{said(ideal['early'])} early and {said(ideal['late'])} late",
            )
        )
    return claims


EXPERIMENT = Experiment("forgetting", dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS), measure, conclude)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
