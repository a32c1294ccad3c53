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
from implicit_inference.measure.beliefs import Beliefs, prior_records
from implicit_inference.measure.formulas import rank_correlation, recovered_fraction, share
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.measure.lookup import Case
from implicit_inference.regression.conjugations import ScaleInputs, ScaleLabels, rotations
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES, by_range, distances, estimated
from implicit_inference.study.results import Results
from implicit_inference.training.checkpoints import kept_steps
from implicit_inference.training.loop import Trained

SCALES = (-1.0, 0.5, 1.25, 1.5, 2.0, 3.0)


def maps(trained: Trained, seed: Array) -> dict[Case, Conjugation]:
    """The conjugations that are ranked, beside none at all."""
    return {
        **{("label_scale", g): ScaleLabels(jnp.asarray(g)) for g in SCALES},
        ("input_scale", 2.0): ScaleInputs(jnp.asarray(2.0)),
        ("input_scale", 0.5): ScaleInputs(jnp.asarray(0.5)),
        ("rotation", None): rotations(keys.stream(seed, "probe rotation"), trained.config.tasks.dim, 1)[0],
    }


def measure(trained: Trained) -> list[Record]:
    held_out, records, course = HeldOut(trained), list[Record](), []
    beliefs, distance = Beliefs(held_out), distances(held_out)
    for step in kept_steps(trained.run_of("finetune")):
        network = trained.network("finetune", step)
        prior = beliefs.prior(network)
        ideal = beliefs.ideal(prior.logit)
        course.append((distance(network), distance(ideal)))
        records += prior_records(prior, trained.config.seeds, step=step)
        parts = attribution(course[0][0], course[-1][0], course[0][1], course[-1][1])
        for quantity, values in parts._asdict().items():
            records += by_range(held_out, values, quantity=quantity, step=step)
        records += estimated(held_out, share, parts.inference_shift, parts.forgetting, quantity="share", step=step)
    moves, prompts = held_out.packed.by_seed(lambda seed: maps(trained, seed)), held_out.batch("gaussian").prompts
    under_maps = {case: held_out.packed.conjugated(move, prompts) for case, move in moves.items()}
    away = {case: (beliefs.closeness(prompts) - beliefs.closeness(x)).mean(axis=1) for case, x in under_maps.items()}
    under = {case: (distance(network, move), distance(ideal, move)) for case, move in moves.items()}
    before, after = course[0], course[-1]
    for case in moves:
        labels = {"conjugation": case[0], "strength": case[1]}
        for i, kind in enumerate(("measured", "predicted")):
            conjugated = under[case][i]
            records += estimated(held_out, recovered_fraction, before[i], after[i], conjugated, quantity=kind, **labels)
            records += by_range(held_out, after[i] - conjugated, quantity=f"returned_{kind}", **labels)
        records += by_range(held_out, away[case], quantity="moved_odds", **labels)
    measured, predicted = ([pair[i] for pair in (after, *under.values())] for i in (0, 1))
    for theory, ranks in (("loss", predicted), ("odds", [0 * after[0], *(-values for values in away.values())])):
        for where in RANGES:
            lists = (np.stack([held_out.averaged(x, where) for x in of], axis=1) for of in (ranks, measured))
            agreement = np.array([rank_correlation(*pair).kendall for pair in zip(*lists, strict=True)])
            records += held_out.records(agreement, quantity=f"kendall_by_{theory}", range=where)
    return records


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    last = max(results.levels("step"))
    for alpha in ALPHAS:
        part = results.where(pretrain__discrete_prob=alpha)
        before, after = (part.prior_odds(step=step) for step in (0, last))
        for where in RANGES:
            here, end = part.where(range=where), part.where(range=where, step=last)
            parts = {q: end.estimate(quantity=q) for q in ("forgetting", "inference_shift", "share", "capability_loss")}
            scaled = {g: here.where(conjugation="label_scale", strength=g) for g in (1.5, 2.0, 3.0)}
            recovered = (
                f"γ = {g:g}: {as_text(records.estimate(quantity='measured'))} against "
                f"{as_text(records.estimate(quantity='predicted'))}"
                for g, records in scaled.items()
            )
            claims.append(
                (
                    f"alpha {alpha:g}, {where}: a part of forgetting is a shift of the inferred prior odds",
                    [parts["inference_shift"], parts["forgetting"]],
                    f"prior log odds {before} to {after}; forgetting {as_text(parts['forgetting'])}, of it "
                    f"{as_text(parts['inference_shift'])} by the shift (a share of {as_text(parts['share'])}) and "
                    f"{as_text(parts['capability_loss'])} lost capability; recovery measured against predicted: "
                    f"{', '.join(recovered)}; ranking of conjugations, Kendall's tau "
                    f"{as_text(here.estimate(quantity='kendall_by_loss'))} by the ideal learner's loss, "
                    f"{as_text(here.estimate(quantity='kendall_by_odds'))} by moved odds",
                )
            )
    return claims


EXPERIMENT = Experiment("origin", dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS), measure, conclude)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
