"""Where the capability went, from a probe's table: attribution of the forgetting, gates, theory's ranking."""

from typing import Any

import numpy as np

from implicit_inference.bayes.attribution import Attribution
from implicit_inference.measure.formulas import (
    GATE_EDGES,
    Estimate,
    Values,
    over_seeds,
    rank_correlation,
    share,
)
from implicit_inference.measure.lookup import IDENTITY, RANGES, Case, Table, as_json, estimated, fraction


def share_of(parts: Attribution) -> Estimate | None:
    """The inference shift as a fraction of the forgetting; nan if one of the two is.

    None where the forgetting is not significantly positive.
    """
    return share(parts.inference_shift, parts.forgetting)


def attributed(table: Table) -> dict[str, Any]:
    """The attribution of the forgetting over each range of positions."""
    summary = {}
    for where in RANGES:
        parts = table.attribution(where)
        summary[where] = {name: estimated(values) for name, values in parts._asdict().items()}
        summary[where]["share"] = fraction(share_of(parts))
    return summary


def gate_by_bin(table: Table, predictor: str, case: Case = IDENTITY) -> dict[int, tuple[Estimate, int]]:
    """{bin: (gate over seeds, number of predictions)} for the bins that every seed has."""
    frame, (name, strength) = table.frame, case
    chosen = (frame["quantity"] == "gate") & (frame["predictor"] == predictor) & (frame["conjugation"] == name)
    if strength is not None:
        chosen &= frame["strength"] == strength
    by_bin = frame[chosen].groupby("bin")
    return {
        int(b): (over_seeds(cells["mean"].to_numpy(np.float64)), int(cells["n"].sum()))
        for b, cells in by_bin
        if len(cells) == len(table.seeds)
    }


def gated(table: Table, strength: float) -> dict[str, Any]:
    """Gates before, after, after under the dial, of scratch, and of exact Bayes, by bin of closeness."""
    before, after, scratch = table.networks
    columns = {
        before: (before, IDENTITY),
        after: (after, IDENTITY),
        "moved": (after, table.on_dial(strength)),
        scratch: (scratch, IDENTITY),
        "bayes_pretraining": ("bayes_pretraining", IDENTITY),
        f"bayes_effective_{after}": (f"bayes_effective_{after}", IDENTITY),
    }
    found = {name: gate_by_bin(table, *of) for name, of in columns.items()}
    shared = [b for b in range(len(GATE_EDGES) + 1) if all(b in gate for gate in found.values())]
    return {
        "edges": list(GATE_EDGES),
        "strength": strength,
        "bins": [
            {"bin": b, "n": found[before][b][1]} | {name: as_json(gate[b][0]) for name, gate in found.items()}
            for b in shared
        ],
    }


def ranking_of(table: Table, where: str) -> tuple[list[Case], Values, Values, Values]:
    """(conjugations [C], measured, predicted, moved [seeds, C]) over a range of positions, on the forgotten family.

    measured: the loss of the network after; predicted: of the ideal learner with its effective prior; moved: how far
    the log posterior odds go away from the preferred family, on average.
    """
    cases = table.cases()

    def column(predictor: str | None, quantity: str) -> Values:
        curves = [table.curve(predictor, case=case, quantity=quantity) for case in cases]
        return np.stack([table.averaged(curve, where) for curve in curves], axis=1)

    measured, predicted = column(table.after, "loss"), column(f"bayes_effective_{table.after}", "loss")
    return cases, measured, predicted, column(None, "moved_odds")


def ranked(table: Table) -> dict[str, Any]:
    """Theory's ranking of the conjugations, the identity among them, against the measured one.

    `by_loss` ranks by the ideal learner's loss, which also pays for leaving the exact predictor; `by_odds` by the moved
    odds alone. Rank correlations are taken seed by seed: 1 = the network's order.
    """
    summary: dict[str, Any] = {}
    for where in RANGES:
        cases, measured, predicted, conjugated = ranking_of(table, where)
        summary[where] = {
            "conjugations": [
                {"conjugation": name, "strength": strength}
                | {"measured": estimated(measured[:, c]), "predicted": estimated(predicted[:, c])}
                | {"moved_odds": estimated(conjugated[:, c])}
                for c, (name, strength) in enumerate(cases)
            ]
        }
        for name, theory in (("by_loss", predicted), ("by_odds", -conjugated)):
            correlations = np.array([rank_correlation(*pair) for pair in zip(theory, measured, strict=True)])
            summary[where][name] = {"kendall": estimated(correlations[:, 0]), "spearman": estimated(correlations[:, 1])}
    return summary
