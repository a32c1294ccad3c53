"""The few numbers that compare fine-tunings: gain, forgetting, recovery, prior odds, excess over exact Bayes."""

from typing import Any

import numpy as np

from implicit_inference.measure.beliefs import Beliefs, prior_records
from implicit_inference.measure.formulas import Estimate, Values, net_recovery, over_seeds, recovered_fraction, share
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import as_text
from implicit_inference.study.measurements import (
    RANGES,
    RECOVERIES,
    attributions,
    by_range,
    conjugations,
    estimated,
    networks,
)
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

STRENGTHS = (1.0, 1.5, 2.0, 3.0)
"""Strengths of the world's dial to choose among, where the probe has them; at 1 nothing moves."""


def headline(trained: Trained, stage: str = "finetune") -> list[Record]:
    """Measures the network after a stage against the pretrained one, by range of positions.

    forgetting: on the forgotten family; gain: on the family that fine-tuning shows; excess_FAMILY: of the pretrained
    network over the exact predictor of a family, on its prompts. Each has a row a seed. recovered, and
    net_of_pretrained: at the strength that is best on the tuning prompts, one row for all seeds. prior_logit, _bound
    and _residual: by seed, predictors `pretrained` and `finetuned`, whatever the stage.
    """
    held_out, records = HeldOut(trained), list[Record]()
    world, beliefs = held_out.described, Beliefs(held_out)
    before, after = networks = [trained.network(name) for name in ("pretrain", stage)]
    lost, gained = world.forgotten, world.gain_family(trained.config)
    loss = [held_out.loss(network, lost) for network in networks]
    records += by_range(held_out, loss[1] - loss[0], quantity="forgetting")
    records += by_range(held_out, held_out.loss(before, gained) - held_out.loss(after, gained), quantity="gain")
    for family, exact in ((world.forgotten, held_out.forgotten), (world.preferred, held_out.preferred)):
        excess = held_out.loss(before, family) - held_out.loss(exact, family)
        records += by_range(held_out, excess, quantity=f"excess_{family}")
    measured = getattr(trained.config.probe, world.moves[world.dial].field)
    strengths = [g for g in STRENGTHS if g == 1 or g in measured]
    moves = conjugations(held_out, [(world.dial, g) for g in strengths])
    tuning = {g: held_out.loss(after, lost, move, split="tuning") for (_, g), move in moves.items()}
    for where in RANGES:
        best = min(strengths, key=lambda g: float(held_out.averaged(tuning[g], where).mean()))
        conjugated = [held_out.loss(network, lost, moves[world.dial, best]) for network in networks]
        plain, under = ([held_out.averaged(x, where) for x in pair] for pair in (loss, conjugated))
        labels: Record = {"conjugation": world.dial, "strength": best, "range": where}
        for quantity, formula in RECOVERIES.items():
            records.append(held_out.estimate(formula(*plain, *under), quantity=quantity, **labels))
    for name, network in zip(("pretrained", "finetuned"), networks, strict=True):
        records += prior_records(beliefs.prior(network), trained.config.seeds, predictor=name)
    return records


def summary(results: Results, **labels: Any) -> str:
    """Writes the headline of one variant in a line."""
    part = results.where(**labels)

    def number(quantity: str, where: str) -> str:
        return as_text(part.estimate(quantity=quantity, range=where))

    parts = [
        f"{where}: forgetting {number('forgetting', where)}, gain {number('gain', where)}, "
        f"recovered {number('recovered', where)}, net of the pretrained {number('net_of_pretrained', where)}"
        for where in RANGES
    ]
    before, after = (part.prior_odds(predictor=name) for name in ("pretrained", "finetuned"))
    return "; ".join([*parts, f"prior log odds {before} to {after}"])


def mean_of_ranges(results: Results, quantity: str, **labels: Any) -> Values:
    """The mean of early and late, by seed [S]."""
    early, late = (results.values(quantity=quantity, range=where, **labels) for where in RANGES)
    return (early + late) / 2


def prior_difference(first: Results, second: Results) -> Estimate:
    """How much higher the inferred prior log odds of one variant are; undefined where a seed's have no limit."""
    logits, bounds = (
        [part.values(predictor="finetuned", quantity=f"prior_{name}") for part in (first, second)]
        for name in ("logit", "bound")
    )
    return Estimate(np.nan, np.nan) if np.any(bounds) else over_seeds(logits[0] - logits[1])


def difference(results: Results, first: Record, second: Record) -> Estimate:
    """How much more the first variant forgets than the second, in the mean of early and late, seed by seed."""
    return over_seeds(mean_of_ranges(results, "forgetting", **first) - mean_of_ranges(results, "forgetting", **second))


def suppression(trained: Trained, strength: float) -> list[Record]:
    """Measures recovery at one strength of the dial, with its controls, and the share on the line, by range.

    recovered_at, net_at: by the dial, and net of what that does for the pretrained network; shrunk: by the best map of
    predictions alone, chosen on other prompts; scratch_at: the same fraction for the network that saw the fine-tuning
    tasks alone, of its gap to the pretrained one; above_shrinking: the loss of `shrunk` less that of `recovered_at`;
    on_line_share: the part of the forgetting that lies on the line between the exact predictors.
    """
    held_out, records = HeldOut(trained), list[Record]()
    dial = (held_out.described.dial, strength)
    compared = networks(trained).values()
    before, after, _ = compared
    lost, conjugation = held_out.described.forgotten, conjugations(held_out, [dial])[dial]
    plain = [held_out.loss(network, lost) for network in compared]
    conjugated = [held_out.loss(network, lost, conjugation) for network in compared]
    shrunk = held_out.shrunk_errors(after, lost).mean(axis=1)
    for quantity, formula, values in (
        ("recovered_at", recovered_fraction, (*plain[:2], conjugated[1])),
        ("shrunk", recovered_fraction, (*plain[:2], shrunk)),
        ("net_at", net_recovery, (*plain[:2], *conjugated[:2])),
        ("scratch_at", recovered_fraction, (plain[0], plain[2], conjugated[2])),
    ):
        records += estimated(held_out, formula, *values, quantity=quantity)
    records += by_range(held_out, shrunk - conjugated[1], quantity="above_shrinking")
    first, last = (attributions(held_out, network) for network in (before, after))
    on_line, off_line = (new - old for new, old in zip(last, first, strict=True))
    return records + estimated(held_out, share, on_line, on_line + off_line, quantity="on_line_share")
