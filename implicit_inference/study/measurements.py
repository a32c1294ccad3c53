"""Measurements that experiments share: values over ranges of positions, and what a conjugation brings back."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implicit_inference.bayes.attribution import Attribution
from implicit_inference.measure.beliefs import Answers, attribution
from implicit_inference.measure.formulas import Estimate, Values, net_recovery, recovered_fraction
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.measure.lookup import IDENTITY, Case
from implicit_inference.runs.store import Record
from implicit_inference.training.batches import closeness
from implicit_inference.training.loop import Trained
from implicit_inference.worlds import Predictor, Prompts

RANGES = ("early", "late")
NETWORKS = {"pretrained": "pretrain", "finetuned": "finetune", "scratch": "scratch"}
"""name in tables -> stage, of the networks that are compared under conjugations"""

Formula = Callable[..., Estimate | None]
"""values by seed [S] -> an estimate over seeds"""


def _recovered(before: Values, after: Values, before_conjugated: Values, after_conjugated: Values) -> Estimate | None:
    return recovered_fraction(before, after, after_conjugated)


RECOVERIES: dict[str, Formula] = {"recovered": _recovered, "net_of_pretrained": net_recovery}
"""quantity -> its formula of the losses before, after, before under the conjugation, after under the conjugation"""


def by_range(held_out: HeldOut, values: Values, **labels: Any) -> list[Record]:
    """Averages values [S, K] over early and late positions: one row for each range and seed."""
    return [
        record
        for where in RANGES
        for record in held_out.records(held_out.averaged(values, where), **labels, range=where)
    ]


def estimated(held_out: HeldOut, formula: Formula, *values: Values, **labels: Any) -> list[Record]:
    """Applies a formula to values [S, K], averaged over early and late positions: one row for each range."""
    return [
        held_out.estimate(formula(*(held_out.averaged(part, where) for part in values)), **labels, range=where)
        for where in RANGES
    ]


def recovery(held_out: HeldOut, *losses: Values, **labels: Any) -> list[Record]:
    """Rows of every formula of RECOVERIES by range, from its four losses [S, K]."""
    found = (estimated(held_out, f, *losses, quantity=quantity, **labels) for quantity, f in RECOVERIES.items())
    return [record for records in found for record in records]


def conjugations(held_out: HeldOut, cases: Iterable[Case]) -> dict[Case, Any]:
    """Makes the world's conjugations, packed over seeds: None for the identity, which moves nothing."""
    packed, world = held_out.packed, held_out.world
    made = cache(lambda move: packed.program(lambda seed, strength: world.conjugation(seed, move, strength)))
    return {case: None if case == IDENTITY else made(case[0])(packed.seeds, packed.repeated(case[1])) for case in cases}


def networks(trained: Trained, stages: Mapping[str, str] = NETWORKS) -> dict[str, Predictor]:
    """Loads the networks that are compared, by their names in tables."""
    return {name: trained.network(stage) for name, stage in stages.items()}


def in_bins(coordinate: Values, bins: int) -> list[NDArray[np.integer]]:
    """Sorts prompts by a coordinate [S, prompts] into bins of one size, ascending: the indices [S, members] of each."""
    size = coordinate.shape[1] // bins
    return np.split(np.argsort(coordinate, axis=1)[:, : bins * size], bins, axis=1)


def projected(values: Values, direction: Values) -> dict[str, Values]:
    """Projects values on a direction, both [S, members]: three numbers for each seed.

    loss: the mean square of the values; gate: their coefficient; rest: the mean square of what is off the direction.
    """
    gate = np.sum(values * direction, axis=1) / np.sum(direction**2, axis=1)
    squares = {"loss": values**2, "rest": (values - gate[:, None] * direction) ** 2}
    return {"gate": gate} | {name: np.mean(square, axis=1) for name, square in squares.items()}


def log_odds(held_out: HeldOut, prompts: Prompts, quantiles: Iterable[float]) -> list[Record]:
    """Quantiles over prompts, packed over seeds, of their log odds under the preferred family: a record a seed."""
    program = held_out.packed.program(lambda seed, prompts: closeness(held_out.config, seed, prompts))
    odds, records = program(held_out.packed.seeds, prompts), list[Record]()
    for quantile in quantiles:
        records += held_out.records(np.quantile(odds, quantile, axis=1), quantity="log_odds", quantile=quantile)
    return records


def distances(held_out: HeldOut) -> Callable[..., Values]:
    """(predictor, conjugation or None) -> its divergence from the forgotten family's exact predictor [S, K].

    On that family's prompts, which are averaged over.
    """
    batch = held_out.batch(held_out.described.forgotten)
    exact = held_out.answers(held_out.forgotten, batch)

    def distance(predictor: Predictor, conjugation: Any = None) -> Values:
        return held_out.world.score.divergence(exact, held_out.answers(predictor, batch, conjugation)).mean(axis=1)

    return distance


def attributions(held_out: HeldOut, predictor: Predictor) -> Attribution:
    """The parts of its divergence from the forgotten family's exact predictor [S, K], on that family's prompts."""
    batch = held_out.batch(held_out.described.forgotten)
    answers, first, second = (held_out.answers(f, batch) for f in (predictor, held_out.preferred, held_out.forgotten))
    log_ratio = held_out.closeness(batch.prompts)
    return attribution(held_out, answers, Answers(answers, answers, first, second, log_ratio, held_out.truth(batch)))
