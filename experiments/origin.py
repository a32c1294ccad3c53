"""Where did the capability go: how much of forgetting and recovery is a shift of the inferred prior odds, and no more?

    python experiments/origin.py --scale smoke|laptop|paper

The ideal learner is exact Bayes with the prior odds that best imitate the network, before and after fine-tuning, fitted
on other prompts. What it forgets is the inference shift; the rest of the network's forgetting is capability loss. What
a conjugation brings back of its forgetting is a prediction with nothing fitted to it. On Gaussian prompts E(f - y)^2 -
E(ridge - y)^2 = E(f - ridge)^2, so that losses are taken as squared distances to ridge: the same, with less noise.
"""

import sys

import numpy as np
from experiment import Experiment, Finding, Results, positive, said
from jax import Array
from jax import numpy as jnp
from tradeoff import ALPHAS, VARIANTS

from implicit_inference import keys
from implicit_inference.measure import Bench
from implicit_inference.metrics import Values, over_seeds, ratio, recovered_fraction, significant
from implicit_inference.regression.conjugate import Conjugation, Identity, ScaleInputs, ScaleLabels
from implicit_inference.regression.orbits import rotations
from implicit_inference.run import Lab

RANGES = ("early", "late")
SCALES = (-1.0, 0.5, 1.25, 1.5, 2.0, 3.0)


def maps(lab: Lab, seed: Array) -> dict[str, Conjugation]:
    """The conjugations that are ranked."""
    return {
        "identity": Identity(),
        **{f"labels × {g:g}": ScaleLabels(jnp.asarray(g)) for g in SCALES},
        "inputs / 2": ScaleInputs(jnp.asarray(2.0)),
        "inputs × 2": ScaleInputs(jnp.asarray(0.5)),
        "a rotation": rotations(keys.stream(seed, "probe rotation"), lab.config.tasks.dim, 1)[0],
    }


def measure(lab: Lab) -> list[dict]:
    bench, rows = Bench(lab), []
    batch = bench.batch("gaussian")
    networks = {"before": bench.network("pretrain"), "after": bench.network("finetune")}
    fits = {name: bench.effective(network) for name, network in networks.items()}
    for name, (logit, residual, _) in fits.items():
        rows += bench.rows(logit, quantity=f"prior_logit_{name}") + bench.rows(residual, quantity=f"residual_{name}")
    ridge = bench.predictions(bench.ridge, batch)
    packed = bench.per_seed(lambda seed: maps(lab, seed))
    learners = {"network": networks, "ideal": {name: fit[2] for name, fit in fits.items()}}

    def excess(kind: str, name: str, case: str = "identity") -> Values:
        return np.mean((bench.predictions(learners[kind][name], batch, packed[case]) - ridge) ** 2, axis=1)

    before = {kind: excess(kind, "before") for kind in learners}
    after = {case: {kind: excess(kind, "after", case) for kind in learners} for case in packed}
    for where in RANGES:
        level = {kind: bench.averaged(before[kind], where) for kind in learners}
        ends = {case: {kind: bench.averaged(x[kind], where) for kind in learners} for case, x in after.items()}
        forgetting = ends["identity"]["network"] - level["network"]
        shift = ends["identity"]["ideal"] - level["ideal"]
        parts = {"forgetting": forgetting, "inference_shift": shift, "capability_loss": forgetting - shift}
        for quantity, values in parts.items():
            rows += bench.rows(values, quantity=quantity, where=where)
        share = ratio(shift, forgetting) if significant(over_seeds(forgetting)) else None
        rows.append(bench.estimate(share, quantity="share", where=where))
        for kind in learners:
            for case in packed:
                if case != "identity":
                    found = recovered_fraction(level[kind], ends["identity"][kind], ends[case][kind])
                    quantity = "measured" if kind == "network" else "predicted"
                    rows.append(bench.estimate(found, quantity=quantity, conjugation=case, where=where))
        losses = {kind: np.stack([ends[case][kind] for case in packed], axis=1) for kind in learners}
        agreement = [kendall(*both) for both in zip(losses["ideal"], losses["network"], strict=True)]
        rows += bench.rows(np.array(agreement), quantity="kendall", where=where)
    return rows


def kendall(first: Values, second: Values) -> float:
    """The rank correlation tau-b of two lists: 1 = in one order, -1 = in reverse."""
    a, b = (np.sign(np.subtract.outer(x, x)) for x in (first, second))
    return float(np.sum(a * b) / np.sqrt(np.sum(a**2) * np.sum(b**2)))


def conclude(results: Results) -> list[Finding]:
    findings = []
    for alpha in ALPHAS:

        def number(quantity, alpha=alpha, **labels):
            return results.estimate(pretrain__discrete_prob=alpha, quantity=quantity, **labels)

        logits = [said(number(f"prior_logit_{name}")) for name in ("before", "after")]
        for where in RANGES:
            pairs = [
                f"γ = {g:g}: {said(number('measured', conjugation=f'labels × {g:g}', where=where))} against "
                f"{said(number('predicted', conjugation=f'labels × {g:g}', where=where))}"
                for g in (1.5, 2.0, 3.0)
            ]
            rest = number("capability_loss", where=where)
            findings.append(
                Finding(
                    f"alpha {alpha:g}, {where}: a part of forgetting is a shift of the inferred prior odds",
                    positive(number("inference_shift", where=where), number("forgetting", where=where)),
                    f"prior log odds {logits[0]} to {logits[1]}; forgetting {said(number('forgetting', where=where))}, "
                    f"of it a share of {said(number('share', where=where))} by the shift, "
                    f"{said(rest)} lost capability; recovery measured against predicted: "
                    + ", ".join(pairs)
                    + f"; ranking of conjugations, Kendall's tau {said(number('kendall', where=where))}",
                )
            )
    return findings


EXPERIMENT = Experiment("origin", dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS), measure, conclude)

if __name__ == "__main__":
    sys.exit(EXPERIMENT.main())
