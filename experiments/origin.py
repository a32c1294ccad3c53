"""Where did the capability go: how much of forgetting and recovery is a shift of the inferred prior odds, and no more?

    python experiments/origin.py --scale smoke|laptop|paper

3.6 minutes on 2 cores with the networks shared with conjugation.py. Expected at laptop scale (4 seeds, mean ± standard
error; tolerance two standard errors: other machines change the last bits, which training amplifies): at alpha 0.2, 0.5,
0.8 the shift is a share of 0.601 ± 0.039, 1.135 ± 0.089, 1.614 ± 0.069 of forgetting early and 0.218 ± 0.010,
0.439 ± 0.093, 0.916 ± 0.071 late. A share above one is a network that loses less than its prior odds say. Kendall's tau
by the ideal learner's loss is 0.844 ± 0.029, 0.944 ± 0.021, 0.900 ± 0.071 early and 0.211 ± 0.064, 0.644 ± 0.075,
0.578 ± 0.056 late; by moved odds 0.50 to 0.51 early and 0.03 to 0.42 late. That a part is a shift held in all six. Not
so the predicted recovery: at gamma 2 and alpha 0.5 measured 1.032 ± 0.054 and predicted 1.106 ± 0.042 early, but
0.392 ± 0.097 and 1.238 ± 0.095 late; at alpha 0.2 early 0.436 ± 0.036 and 0.855 ± 0.012.

At every kept step of fine-tuning stands an ideal learner: exact Bayes with the prior odds that best imitate the network
on other prompts. What it has forgotten by then is the inference shift; the rest of the network's forgetting is
capability loss. What a conjugation brings back of its forgetting is a prediction with nothing fitted to it, and its
loss under each ranks the conjugations; so does how far each moves the log posterior odds. On Gaussian prompts
E(f - y)^2 - E(ridge - y)^2 = E(f - ridge)^2, so that losses are taken as squared distances to ridge: the same, with
less noise.
"""

import sys

import numpy as np
from experiment import main
from jax import Array
from jax import numpy as jnp
from tradeoff import ALPHAS, VARIANTS

from implicit_inference import keys
from implicit_inference.bayes.attribution import attribution
from implicit_inference.bayes.conjugation import Conjugation
from implicit_inference.measure.attribution import share_of
from implicit_inference.measure.beliefs import Beliefs, prior_rows
from implicit_inference.measure.formulas import Values, rank_correlation, recovered_fraction
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.regression.conjugations import ScaleInputs, ScaleLabels, rotations
from implicit_inference.regression.prompts import Predictor
from implicit_inference.runs.store import Row
from implicit_inference.study.claims import Claim, said
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.results import Results
from implicit_inference.training.checkpoints import kept_steps
from implicit_inference.training.loop import Trained

RANGES = ("early", "late")
SCALES = (-1.0, 0.5, 1.25, 1.5, 2.0, 3.0)


def maps(trained: Trained, seed: Array) -> dict[tuple[str, float | None], Conjugation]:
    """The conjugations that are ranked, beside none at all."""
    return {
        **{("label_scale", g): ScaleLabels(jnp.asarray(g)) for g in SCALES},
        ("input_scale", 2.0): ScaleInputs(jnp.asarray(2.0)),
        ("input_scale", 0.5): ScaleInputs(jnp.asarray(0.5)),
        ("rotation", None): rotations(keys.stream(seed, "probe rotation"), trained.config.tasks.dim, 1)[0],
    }


def measure(trained: Trained) -> list[Row]:
    held_out, rows = HeldOut(trained), []
    beliefs, batch = Beliefs(held_out), held_out.batch("gaussian")
    ridge = held_out.predictions(held_out.forgotten, batch)

    def excess(predictor: Predictor, conjugation: object = None) -> Values:
        return np.mean((held_out.predictions(predictor, batch, conjugation) - ridge) ** 2, axis=1)

    course = []
    for step in kept_steps(trained.run_of("finetune")):
        network = trained.network("finetune", step)
        prior = beliefs.prior(network)
        ideal = beliefs.ideal(prior.logit)
        course.append((excess(network), excess(ideal)))
        rows += prior_rows(prior, trained.config.seeds, step=step)
        for where in RANGES:
            before, after = ([held_out.averaged(x, where) for x in pair] for pair in (course[0], course[-1]))
            parts = attribution(before[0], after[0], before[1], after[1])
            for quantity, values in parts._asdict().items():
                rows += held_out.rows(values, quantity=quantity, step=step, range=where)
            rows.append(held_out.estimate(share_of(parts), quantity="share", step=step, range=where))
    conjugations = held_out.packed.each(lambda seed: maps(trained, seed))
    close = beliefs.closeness(batch.prompts)
    moved = {
        name: np.mean(close - beliefs.closeness(trained.programs.packed.shown(s, batch.prompts)), axis=1)
        for name, s in conjugations.items()
    }
    under = {name: (excess(network, s), excess(ideal, s)) for name, s in conjugations.items()}
    for where in RANGES:
        (before, after) = ([held_out.averaged(x, where) for x in pair] for pair in (course[0], course[-1]))
        ends = {name: [held_out.averaged(x, where) for x in pair] for name, pair in under.items()}
        for name, values in ends.items():
            labels = {"conjugation": name[0], "strength": name[1], "range": where}
            for i, quantity in enumerate(("measured", "predicted")):
                rows.append(
                    held_out.estimate(recovered_fraction(before[i], after[i], values[i]), quantity=quantity, **labels)
                )
                rows += held_out.rows(after[i] - values[i], quantity=f"returned_{quantity}", **labels)
            rows += held_out.rows(held_out.averaged(moved[name], where), quantity="moved_odds", **labels)
        network_loss, ideal_loss = (np.stack([after[i], *(v[i] for v in ends.values())], axis=1) for i in (0, 1))
        distance = np.stack([0 * after[0], *(held_out.averaged(moved[name], where) for name in ends)], axis=1)
        for theory, ranks in (("loss", ideal_loss), ("odds", -distance)):
            agreement = [rank_correlation(*pair).kendall for pair in zip(ranks, network_loss, strict=True)]
            rows += held_out.rows(np.array(agreement), quantity=f"kendall_by_{theory}", range=where)
    return rows


def conclude(results: Results) -> list[Claim]:
    claims, last = [], sorted(results.levels("step"))[-1]
    for alpha in ALPHAS:

        def number(quantity, alpha=alpha, **labels):
            return results.estimate(pretrain__discrete_prob=alpha, quantity=quantity, **labels)

        odds = [results.prior_odds(pretrain__discrete_prob=alpha, step=step) for step in (0, last)]
        for where in RANGES:
            end = {"step": last, "range": where}
            pairs = [
                f"γ = {g:g}: {said(number('measured', conjugation='label_scale', strength=g, range=where))} against "
                f"{said(number('predicted', conjugation='label_scale', strength=g, range=where))}"
                for g in (1.5, 2.0, 3.0)
            ]
            claims.append(
                (
                    f"alpha {alpha:g}, {where}: a part of forgetting is a shift of the inferred prior odds",
                    [number("inference_shift", **end), number("forgetting", **end)],
                    f"prior log odds {odds[0]} to {odds[1]}; forgetting {said(number('forgetting', **end))}, "
                    f"of it {said(number('inference_shift', **end))} by the shift (a share of "
                    f"{said(number('share', **end))}) and {said(number('capability_loss', **end))} lost capability; "
                    f"recovery measured against predicted: {', '.join(pairs)}; ranking of conjugations, Kendall's tau "
                    f"{said(number('kendall_by_loss', range=where))} by the ideal learner's loss, "
                    f"{said(number('kendall_by_odds', range=where))} by moved odds",
                )
            )
    return claims


EXPERIMENT = Experiment("origin", dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS), measure, conclude)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
