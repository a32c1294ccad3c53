"""Measurements that experiments share: values over ranges of positions, and what a conjugation brings back."""

from collections.abc import Callable, Iterable
from typing import Any

from implicit_inference.measure.formulas import Estimate, Values, net_recovery, recovered_fraction
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.worlds import Predictor

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


def conjugations(held_out: HeldOut, move: str, strengths: Iterable[float]) -> dict[float, Any]:
    """strength -> the world's conjugation of this name, packed over seeds."""
    made = held_out.packed.program(lambda seed, strength: held_out.world.conjugation(seed, move, strength))
    return {g: made(held_out.packed.seeds, held_out.packed.repeated(float(g))) for g in strengths}


def distances(held_out: HeldOut) -> Callable[..., Values]:
    """(predictor, conjugation or None) -> its divergence from the forgotten family's exact predictor [S, K].

    On that family's prompts, which are averaged over.
    """
    batch = held_out.batch(held_out.described.forgotten)
    exact = held_out.predictions(held_out.forgotten, batch)

    def distance(predictor: Predictor, conjugation: Any = None) -> Values:
        return held_out.world.score.divergence(exact, held_out.predictions(predictor, batch, conjugation)).mean(axis=1)

    return distance
