"""The few numbers that compare fine-tunings: gain, forgetting, recovery, prior odds, excess over Bayes."""

import numpy as np

from implicit_inference.measure.beliefs import Beliefs, prior_rows
from implicit_inference.measure.formulas import Estimate, Values, over_seeds, recovered_fraction
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.regression.conjugations import ScaleLabels
from implicit_inference.runs.store import Row
from implicit_inference.study.claims import said
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

SCALES = (1.5, 2.0, 3.0)
RANGES = ("early", "late")


def headline(trained: Trained, stage: str = "finetune") -> list[Row]:
    """For early and late positions, each a value a seed but for the recovered fractions, which are ratios of means.

    forgetting, on Gaussian prompts; gain, on prompts of the set that fine-tuning shows; excess_gaussian and
    excess_discrete of the pretrained network over exact predictors of one family; recovered, at the label scale that is
    best on other prompts, and net_of_pretrained, less what that scale does for the pretrained network. All of the
    network after `stage`, which the prior odds call finetuned.
    """
    held_out = HeldOut(trained)
    beliefs = Beliefs(held_out)
    before, after = trained.network("pretrain"), trained.network(stage)
    scales = {scale: trained.programs.packed.repeated(ScaleLabels(scale)) for scale in SCALES}
    shown = "finetuning" if "finetuning" in trained.config.families else "discrete"
    loss = {name: held_out.loss(network, "gaussian") for name, network in (("before", before), ("after", after))}
    gain = held_out.loss(before, shown) - held_out.loss(after, shown)
    excess = {
        "excess_gaussian": loss["before"] - held_out.loss(held_out.forgotten, "gaussian"),
        "excess_discrete": held_out.loss(before, "discrete") - held_out.loss(held_out.preferred, "discrete"),
    }
    choice = {scale: held_out.loss(after, "gaussian", s, split="tuning") for scale, s in scales.items()}
    rows = []
    for where in RANGES:
        values = {"forgetting": loss["after"] - loss["before"], "gain": gain, **excess}
        for quantity, value in values.items():
            rows += held_out.rows(held_out.averaged(value, where), quantity=quantity, range=where)
        best = min(SCALES, key=lambda scale: held_out.averaged(choice[scale], where).mean())
        moved = {
            name: held_out.loss(network, "gaussian", scales[best]) for name, network in (("b", before), ("a", after))
        }
        helped = loss["before"] - moved["b"]
        moving: Row = {"conjugation": "label_scale", "strength": best}
        for quantity, recovered in (("recovered", moved["a"]), ("net_of_pretrained", moved["a"] + helped)):
            parts = (held_out.averaged(part, where) for part in (loss["before"], loss["after"], recovered))
            rows.append(held_out.estimate(recovered_fraction(*parts), **moving, quantity=quantity, range=where))
    for name, network in (("pretrained", before), ("finetuned", after)):
        rows += prior_rows(beliefs.prior(network), trained.config.seeds, predictor=name)
    return rows


def summary(results: Results, **labels: object) -> str:
    """The headline of one variant in a line."""

    def number(quantity: str, **more: object) -> Estimate:
        return results.estimate(quantity=quantity, **more, **labels)

    parts = [
        f"{where}: forgetting {said(number('forgetting', range=where))}, gain {said(number('gain', range=where))}, "
        f"recovered {said(number('recovered', range=where))}, "
        f"net of the pretrained {said(number('net_of_pretrained', range=where))}"
        for where in RANGES
    ]
    logits = [results.prior_odds(predictor=name, **labels) for name in ("pretrained", "finetuned")]
    return "; ".join([*parts, f"prior log odds {logits[0]} to {logits[1]}"])


def difference(results: Results, first: dict, second: dict) -> Estimate:
    """How much more the first variant forgets than the second, in the mean of early and late, seed by seed."""

    def forgetting(labels: dict) -> Values:
        values = [results.values(quantity="forgetting", range=where, **labels) for where in RANGES]
        return np.mean(values, axis=0)

    return over_seeds(forgetting(first) - forgetting(second))
