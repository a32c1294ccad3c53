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

from experiment import main
from tradeoff import ALPHAS, VARIANTS

from implicit_inference.bayes.attribution import attribution
from implicit_inference.measure.beliefs import Beliefs, prior_records
from implicit_inference.measure.formulas import recovered_fraction, share
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text, listed
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES, by_range, conjugations, distances, estimated, kendall
from implicit_inference.study.results import Results
from implicit_inference.training.checkpoints import kept_steps
from implicit_inference.training.loop import Trained

SCALES = (-1.0, 0.5, 1.25, 1.5, 2.0, 3.0)
CASES = [*(("input_scale", c) for c in (0.5, 2.0)), *(("label_scale", g) for g in SCALES), ("rotation", None)]
"""The conjugations that are ranked, beside none at all."""


def measure(trained: Trained) -> list[Record]:
    held_out, records, course = HeldOut(trained), list[Record](), []
    beliefs, distance, prompts = Beliefs(held_out), distances(held_out), held_out.batch("gaussian").prompts
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
    losses, away = [course[-1]], [0 * course[-1][0]]
    for (name, strength), move in conjugations(held_out, CASES).items():
        losses.append((distance(network, move), distance(ideal, move)))
        ratio, conjugated = (beliefs.closeness(x) for x in (prompts, held_out.packed.conjugated(move, prompts)))
        away.append((ratio - conjugated).mean(axis=1))
        for kind, *three in zip(("measured", "predicted"), course[0], course[-1], losses[-1], strict=True):
            labels: Record = {"conjugation": name, "strength": strength}
            records += estimated(held_out, recovered_fraction, *three, quantity=kind, **labels)
            records += by_range(held_out, three[1] - three[2], quantity=f"returned_{kind}", **labels)
        records += by_range(held_out, away[-1], quantity="moved_odds", **labels)
    measured, predicted = zip(*losses, strict=True)
    records += kendall(held_out, predicted, measured, quantity="kendall_by_loss")
    return records + kendall(held_out, [-x for x in away], measured, quantity="kendall_by_odds")


def conclude(results: Results) -> list[Claim]:
    claims, last = list[Claim](), max(results.levels("step"))
    for alpha, where in ((alpha, where) for alpha in ALPHAS for where in RANGES):
        part = results.where(pretrain__discrete_prob=alpha)
        before, after = (part.prior_odds(step=step) for step in (0, last))
        here = part.where(range=where)
        quantities = ("inference_shift", "forgetting", "share", "capability_loss")
        shift, forgetting, fraction, lost = (here.estimate(quantity=quantity, step=last) for quantity in quantities)
        scaled = {g: here.where(conjugation="label_scale", strength=g) for g in (1.5, 2.0, 3.0)}
        recovered = (listed(scaled[g], {f"γ = {g:g}:": "measured", "against": "predicted"}, " ") for g in scaled)
        loss, odds = (as_text(here.estimate(quantity=f"kendall_by_{theory}")) for theory in ("loss", "odds"))
        claim = f"alpha {alpha:g}, {where}: a part of forgetting is a shift of the inferred prior odds"
        numbers = (
            f"prior log odds {before} to {after}; forgetting {as_text(forgetting)}, of it {as_text(shift)} by the "
            f"shift (a share of {as_text(fraction)}) and {as_text(lost)} lost capability; recovery measured against "
            f"predicted: {', '.join(recovered)}; ranking of conjugations, Kendall's tau {loss} by the ideal learner's "
            f"loss, {odds} by moved odds"
        )
        claims.append((claim, [shift, forgetting], numbers))
    return claims


EXPERIMENT = Experiment("origin", dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS), measure, conclude)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
