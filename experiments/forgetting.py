"""How fast does fine-tuning on the discrete set raise the loss on Gaussian prompts, and how much of it is inference?

    python experiments/forgetting.py --scale smoke|laptop|paper

Claim 3: fine-tuning on D_disc quickly lowers the discrete loss and raises the continuous loss. Beside the network, at
every kept step, stands the ideal learner with the prior odds that best imitate it: what it loses is a shift of task
inference alone.
"""

import sys

import numpy as np
from experiment import Experiment, Finding, Results, positive, said
from tradeoff import ALPHAS, VARIANTS

from implicit_inference.beliefs import Beliefs, prior_rows
from implicit_inference.config import FAMILIES
from implicit_inference.exam import Exam
from implicit_inference.metrics import over_seeds
from implicit_inference.run import Lab, kept_steps

RANGES = ("early", "late")


def measure(lab: Lab) -> list[dict]:
    exam, rows = Exam(lab), []
    beliefs = Beliefs(exam)
    for step in kept_steps(lab.run_of("finetune")):
        network = exam.network("finetune", step)
        prior = beliefs.prior(network)
        rows += prior_rows(prior, lab.config.seeds, step=step)
        for name, predictor in (("network", network), ("ideal", beliefs.ideal(prior.logit))):
            for family in FAMILIES:
                loss = exam.loss(predictor, family)
                for where in RANGES:
                    labels = {"step": step, "quantity": "loss", "predictor": name, "prompts": family, "where": where}
                    rows += exam.rows(exam.averaged(loss, where), **labels)
    for name, predictor in (("ridge", exam.ridge), ("discrete_posterior", exam.discrete_posterior)):
        for family in FAMILIES:
            loss = exam.loss(predictor, family)
            for where in RANGES:
                labels = {"quantity": "loss", "predictor": name, "prompts": family, "where": where}
                rows += exam.rows(exam.averaged(loss, where), **labels)
    return rows


def conclude(results: Results) -> list[Finding]:
    steps = results.levels("step")
    first, last = steps[0], steps[-1]
    findings = []
    for alpha in ALPHAS:

        def change(step, family, where, predictor="network", alpha=alpha):
            labels = {"pretrain.discrete_prob": alpha, "prompts": family, "where": where, "predictor": predictor}
            return results.values(step=step, **labels) - results.values(step=first, **labels)

        gain = over_seeds(-(change(last, "discrete", "early") + change(last, "discrete", "late")) / 2)
        rise = {where: over_seeds(change(last, "gaussian", where)) for where in RANGES}
        total = sum(change(last, "gaussian", where) for where in RANGES)
        halves = [s for s in steps if np.mean(sum(change(s, "gaussian", w) for w in RANGES)) >= np.mean(total) / 2]
        odds = [results.prior_odds(pretrain__discrete_prob=alpha, step=step) for step in (first, last)]
        ideal = {where: over_seeds(change(last, "gaussian", where, "ideal")) for where in RANGES}
        findings.append(
            Finding(
                f"fine-tuning lowers the discrete loss and raises the Gaussian loss (alpha {alpha:g})",
                positive(gain, *rise.values()),
                f"discrete loss down by {said(gain)}; Gaussian loss up by {said(rise['early'])} early and "
                f"{said(rise['late'])} late, half of it by step {halves[0]} of {last}; inferred prior log odds from "
                f"{odds[0]} to {odds[1]}, which alone would cost an ideal learner "
                f"{said(ideal['early'])} early and {said(ideal['late'])} late",
            )
        )
    return findings


EXPERIMENT = Experiment("forgetting", dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS), measure, conclude)

if __name__ == "__main__":
    sys.exit(EXPERIMENT.main())
