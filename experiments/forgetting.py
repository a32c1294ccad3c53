"""How fast does fine-tuning on the discrete set raise the loss on Gaussian prompts, and how much of it is inference?

    python experiments/forgetting.py --scale smoke|laptop|paper

Claim 3: fine-tuning on D_disc quickly lowers the discrete loss and raises the continuous loss. Beside the network, at
every kept step, stands the ideal learner with the prior odds that best imitate it: what it loses is a shift of task
inference alone.
"""

import sys
from typing import Any

import numpy as np
from experiment import FAMILIES, main
from tradeoff import ALPHAS, VARIANTS

from implicit_inference.measure.beliefs import Beliefs, prior_records
from implicit_inference.measure.formulas import Values, over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES, by_range
from implicit_inference.study.results import Results
from implicit_inference.training.checkpoints import kept_steps
from implicit_inference.training.loop import Trained
from implicit_inference.worlds import Predictor


def measure(trained: Trained) -> list[Record]:
    held_out, records = HeldOut(trained), list[Record]()
    beliefs = Beliefs(held_out)

    def losses(name: str, predictor: Predictor, **labels: Any) -> list[Record]:
        labels |= {"quantity": "loss", "predictor": name}
        found = {family: held_out.loss(predictor, family) for family in FAMILIES}
        return [
            record for family, loss in found.items() for record in by_range(held_out, loss, **labels, family=family)
        ]

    for step in kept_steps(trained.run_of("finetune")):
        network = trained.network("finetune", step)
        prior = beliefs.prior(network)
        records += prior_records(prior, trained.config.seeds, step=step)
        records += losses("network", network, step=step) + losses("ideal", beliefs.ideal(prior.logit), step=step)
    return records + losses("ridge", held_out.forgotten) + losses("discrete_posterior", held_out.preferred)


def conclude(results: Results) -> list[Claim]:
    steps, claims = sorted(results.levels("step")), list[Claim]()
    first, last = steps[0], steps[-1]
    for alpha in ALPHAS:
        part = results.where(pretrain__discrete_prob=alpha)

        def change(step: int, family: str, predictor: str = "network", part: Results = part) -> dict[str, Values]:
            """The rise of the loss since the first step, by range and seed."""
            course = {where: part.where(family=family, range=where, predictor=predictor) for where in RANGES}
            return {where: records.values(step=step) - records.values(step=first) for where, records in course.items()}

        def total(step: int, family: str) -> Values:
            return np.mean(list(change(step, family).values()), axis=0)

        gain = over_seeds(-total(last, "discrete"))
        rise, ideal = (
            {where: over_seeds(values) for where, values in change(last, "gaussian", name).items()}
            for name in ("network", "ideal")
        )
        half = next(step for step in steps if np.mean(total(step, "gaussian")) >= np.mean(total(last, "gaussian")) / 2)
        odds = [part.prior_odds(step=step) for step in (first, last)]
        claims.append(
            (
                f"fine-tuning lowers the discrete loss, and raises the Gaussian loss early and late (alpha {alpha:g})",
                [gain, *rise.values()],
                f"discrete loss, the mean of early and late, down by {as_text(gain)}; Gaussian loss up by "
                f"{as_text(rise['early'])} early and {as_text(rise['late'])} late, half of it by step {half} of "
                f"{last}; inferred prior log odds from {odds[0]} to {odds[1]}, which alone would cost an ideal learner "
                f"{as_text(ideal['early'])} early and {as_text(ideal['late'])} late",
            )
        )
    return claims


EXPERIMENT = Experiment("forgetting", dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS), measure, conclude)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
