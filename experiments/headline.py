"""The few numbers that compare fine-tunings: gain, forgetting, recovery, prior odds, excess over Bayes."""

import numpy as np
from experiment import Results, said

from implicit_inference.measure.beliefs import Beliefs, prior_rows
from implicit_inference.measure.formulas import Estimate, Values, over_seeds, recovered_fraction
from implicit_inference.measure.held_out import Exam
from implicit_inference.regression.conjugations import ScaleLabels
from implicit_inference.training.loop import Lab

SCALES = (1.5, 2.0, 3.0)
RANGES = ("early", "late")


def headline(lab: Lab, stage: str = "finetune") -> list[dict]:
    """For early and late positions, each a value a seed but for the recovered fractions, which are ratios of means.

    forgetting, on Gaussian prompts; gain, on prompts of the set that fine-tuning shows; excess_gaussian and
    excess_discrete of the pretrained network over exact predictors of one family; recovered, at the label scale that is
    best on other prompts, and net_of_pretrained, less what that scale does for the pretrained network. All of the
    network after `stage`, which the prior odds call finetuned.
    """
    exam = Exam(lab)
    beliefs = Beliefs(exam)
    before, after = exam.network("pretrain"), exam.network(stage)
    scales = {scale: lab.packed(ScaleLabels(scale)) for scale in SCALES}
    shown = "finetuning" if "finetuning" in lab.config.families else "discrete"
    loss = {name: exam.loss(network, "gaussian") for name, network in (("before", before), ("after", after))}
    gain = exam.loss(before, shown) - exam.loss(after, shown)
    excess = {
        "excess_gaussian": loss["before"] - exam.loss(exam.forgotten, "gaussian"),
        "excess_discrete": exam.loss(before, "discrete") - exam.loss(exam.preferred, "discrete"),
    }
    choice = {scale: exam.loss(after, "gaussian", s, split="choice") for scale, s in scales.items()}
    rows = []
    for where in RANGES:
        values = {"forgetting": loss["after"] - loss["before"], "gain": gain, **excess}
        for quantity, value in values.items():
            rows += exam.rows(exam.averaged(value, where), quantity=quantity, where=where)
        best = min(SCALES, key=lambda scale: exam.averaged(choice[scale], where).mean())
        moved = {name: exam.loss(network, "gaussian", scales[best]) for name, network in (("b", before), ("a", after))}
        helped = loss["before"] - moved["b"]
        for quantity, recovered in (("recovered", moved["a"]), ("net_of_pretrained", moved["a"] + helped)):
            parts = (exam.averaged(part, where) for part in (loss["before"], loss["after"], recovered))
            rows.append(exam.estimate(recovered_fraction(*parts), quantity=quantity, where=where, scale=best))
    for name, network in (("pretrained", before), ("finetuned", after)):
        rows += prior_rows(beliefs.prior(network), lab.config.seeds, predictor=name)
    return rows


def summary(results: Results, **labels: object) -> str:
    """The headline of one variant in a line."""

    def number(quantity: str, **more: object) -> Estimate:
        return results.estimate(quantity=quantity, **more, **labels)

    parts = [
        f"{where}: forgetting {said(number('forgetting', where=where))}, gain {said(number('gain', where=where))}, "
        f"recovered {said(number('recovered', where=where))}, "
        f"net of the pretrained {said(number('net_of_pretrained', where=where))}"
        for where in RANGES
    ]
    logits = [results.prior_odds(predictor=name, **labels) for name in ("pretrained", "finetuned")]
    return "; ".join([*parts, f"prior log odds {logits[0]} to {logits[1]}"])


def difference(results: Results, first: dict, second: dict) -> Estimate:
    """How much more the first variant forgets than the second, in the mean of early and late, seed by seed."""

    def forgetting(labels: dict) -> Values:
        values = [results.values(quantity="forgetting", where=where, **labels) for where in RANGES]
        return np.mean(values, axis=0)

    return over_seeds(forgetting(first) - forgetting(second))
