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

from implicit_inference.config import FAMILIES
from implicit_inference.measure import Bench
from implicit_inference.metrics import over_seeds
from implicit_inference.run import Lab, kept_steps

RANGES = ("early", "late")


def measure(lab: Lab) -> list[dict]:
    bench, rows = Bench(lab), []
    for step in kept_steps(lab.run_of("finetune")):
        network = bench.network("finetune", step)
        logit, residual, ideal = bench.effective(network)
        rows += bench.rows(logit, step=step, quantity="prior_logit")
        rows += bench.rows(residual, step=step, quantity="prior_residual")
        for name, predictor in (("network", network), ("ideal", ideal)):
            for family in FAMILIES:
                loss = bench.loss(predictor, family)
                for where in RANGES:
                    labels = {"step": step, "quantity": "loss", "predictor": name, "prompts": family, "where": where}
                    rows += bench.rows(bench.averaged(loss, where), **labels)
    for name, predictor in (("ridge", bench.ridge), ("discrete_posterior", bench.discrete_posterior)):
        for family in FAMILIES:
            loss = bench.loss(predictor, family)
            for where in RANGES:
                labels = {"quantity": "loss", "predictor": name, "prompts": family, "where": where}
                rows += bench.rows(bench.averaged(loss, where), **labels)
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
        logits = [
            results.estimate(pretrain__discrete_prob=alpha, step=s, quantity="prior_logit") for s in (first, last)
        ]
        ideal = {where: over_seeds(change(last, "gaussian", where, "ideal")) for where in RANGES}
        findings.append(
            Finding(
                f"fine-tuning lowers the discrete loss and raises the Gaussian loss (alpha {alpha:g})",
                positive(gain, *rise.values()),
                f"discrete loss down by {said(gain)}; Gaussian loss up by {said(rise['early'])} early and "
                f"{said(rise['late'])} late, half of it by step {halves[0]} of {last}; inferred prior log odds from "
                f"{said(logits[0])} to {said(logits[1])}, which alone would cost an ideal learner "
                f"{said(ideal['early'])} early and {said(ideal['late'])} late",
            )
        )
    return findings


EXPERIMENT = Experiment("forgetting", dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS), measure, conclude)

if __name__ == "__main__":
    sys.exit(EXPERIMENT.main())
