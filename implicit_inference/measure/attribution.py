"""Where the capability went, from table rows: attribution of the forgetting, effective gates, theory's ranking."""

from typing import Any

import numpy as np

from implicit_inference.bayes.attribution import Attribution, attribution
from implicit_inference.config.fields import Config
from implicit_inference.measure.formulas import (
    GATE_EDGES,
    Estimate,
    Values,
    over_seeds,
    rank_correlation,
    share,
)
from implicit_inference.measure.lookup import RANGES, Losses, as_json, estimated, fraction
from implicit_inference.runs.store import Row

Case = tuple[str, float | None]
"""(conjugation, strength)"""


def attribution_of(distances: Losses, positions: slice) -> Attribution:
    """(forgetting, inference shift, capability loss), each [seeds], averaged over a slice of positions."""
    names = ("pretrained", "finetuned", "bayes_effective_pretrained", "bayes_effective_finetuned")
    return attribution(*(distances(name)[:, positions].mean(axis=1) for name in names))


def share_of(parts: Attribution) -> Estimate | None:
    """The inference shift as a fraction of the forgetting; nan if one of the two is.

    None where the forgetting is not significantly positive.
    """
    return share(parts.inference_shift, parts.forgetting)


def attributed(rows: list[Row], config: Config) -> dict[str, Any]:
    """The attribution of the forgetting over each range of positions."""
    distances = Losses(rows, config, "ridge_distance")
    summary = {}
    for where in RANGES:
        parts = attribution_of(distances, distances.range(where))
        summary[where] = {name: estimated(values) for name, values in parts._asdict().items()}
        summary[where]["share"] = fraction(share_of(parts))
    return summary


def gate_by_bin(rows: list[Row], predictor: str, case: Case = ("identity", None)) -> dict[int, tuple[Estimate, int]]:
    """{bin: (gate over seeds, number of predictions)} for the bins that every seed has."""
    seeds = {row["seed"] for row in rows}
    found: dict[int, list[Row]] = {}
    for row in rows:
        labels = (row["quantity"], row["predictor"], row["conjugation"], row["strength"])
        if labels == ("gate", predictor, *case):
            found.setdefault(row["bin"], []).append(row)
    return {
        b: (over_seeds(np.array([row["mean"] for row in cells])), sum(row["n"] for row in cells))
        for b, cells in sorted(found.items())
        if len(cells) == len(seeds)
    }


def gated(rows: list[Row], scale: float) -> dict[str, Any]:
    """Gates before, after, after under a label scale, of scratch, and of exact Bayes, by bin of closeness."""
    plain: Case = ("identity", None)
    moved: Case = plain if scale == 1 else ("label_scale", scale)
    columns = {
        "pretrained": ("pretrained", plain),
        "finetuned": ("finetuned", plain),
        "moved": ("finetuned", moved),
        "scratch": ("scratch", plain),
        "bayes_pretraining": ("bayes_pretraining", plain),
        "bayes_effective_finetuned": ("bayes_effective_finetuned", plain),
    }
    found = {name: gate_by_bin(rows, *of) for name, of in columns.items()}
    shared = [b for b in range(len(GATE_EDGES) + 1) if all(b in gate for gate in found.values())]
    return {
        "edges": list(GATE_EDGES),
        "strength": scale,
        "bins": [
            {"bin": b, "n": found["pretrained"][b][1]} | {name: as_json(gate[b][0]) for name, gate in found.items()}
            for b in shared
        ],
    }


def ranking_of(losses: Losses, odds: Losses, where: str) -> tuple[list[Case], Values, Values, Values]:
    """(conjugations [C], measured, predicted, moved [seeds, C]) over a range of positions, on Gaussian prompts.

    measured: the loss of the fine-tuned network; predicted: of the ideal learner with its effective prior; moved: how
    far the log posterior odds go away from the discrete set, on average: the quantity of `odds`.
    """
    cases = [case for case in losses.conjugations() if case[0] != "shrink_only"]

    def column(table: Losses, predictor: str | None) -> Values:
        return np.stack([table.averaged(table(predictor, "gaussian", *case), where) for case in cases], axis=1)

    measured, predicted = (column(losses, name) for name in ("finetuned", "bayes_effective_finetuned"))
    return cases, measured, predicted, column(odds, None)


def ranked(rows: list[Row], config: Config) -> dict[str, Any]:
    """Theory's ranking of the conjugations, the identity among them, against the measured one.

    `by_loss` ranks by the ideal learner's loss, which also pays for leaving ridge; `by_odds` by the moved odds alone.
    Rank correlations are taken seed by seed: 1 = the network's order.
    """
    losses, odds = Losses(rows, config), Losses(rows, config, "moved_odds")
    summary: dict[str, Any] = {}
    for where in RANGES:
        cases, measured, predicted, moved = ranking_of(losses, odds, where)
        summary[where] = {
            "conjugations": [
                {"conjugation": name, "strength": strength}
                | {"measured": estimated(measured[:, c]), "predicted": estimated(predicted[:, c])}
                | {"moved_odds": estimated(moved[:, c])}
                for c, (name, strength) in enumerate(cases)
            ]
        }
        for name, theory in (("by_loss", predicted), ("by_odds", -moved)):
            each = np.array([rank_correlation(*pair) for pair in zip(theory, measured, strict=True)])
            summary[where][name] = {"kendall": estimated(each[:, 0]), "spearman": estimated(each[:, 1])}
    return summary
