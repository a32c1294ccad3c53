"""Findings in a probe's table: how tuning moved the margin in English, and how much each conjugation keeps of it.

change = margin after - margin before; DiD = change under a conjugation - change in English. Items are the same for all
networks and conjugations, so every difference is taken item by item.
"""

from typing import Any

import numpy as np
import pandas as pd

from implicit_inference.lm.probe import BASE, TUNED
from implicit_inference.lm.prompts import IDENTITY
from implicit_inference.measure.formulas import Estimate, Values
from implicit_inference.study.claims import Claim, judged

FLOOR = 0.05
"""A rate of at most this, or at least 1 less it, cannot fall, or rise, by much: it is marked."""

RATES = ("greedy_context", "greedy_instruction")


def results(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of quantities by family, predictor, strength and conjugation, with two standard errors.

    margin, greedy_context and greedy_instruction (rates, with a mark), change, did. `stderr` is over items, means over
    tuning seeds; `stderr_seeds` over tuning seeds, means over items. The DiDs of `tuned` at the largest strength, in
    pairs with a conflict, are judged together (Holm), over items and over seeds apart.
    """
    rows, judgeable = list[dict[str, Any]](), list[dict[str, Any]]()
    largest = table.loc[table["predictor"] == TUNED, "strength"].max()
    for family, of_family in table.groupby("family", sort=False):
        kinds = [IDENTITY, *(kind for kind in of_family["conjugation"].unique() if kind != IDENTITY)]
        before = {kind: _values(_one(of_family, BASE, 0.0, kind), "margin") for kind in kinds}
        for (predictor, strength), of_network in of_family.groupby(["predictor", "strength"], sort=False):
            change = {}
            for kind in kinds:
                labels = {"family": family, "predictor": predictor, "strength": strength, "conjugation": kind}
                own = of_network[of_network["conjugation"] == kind]
                margin = _values(own, "margin")
                rows.append(labels | {"quantity": "margin"} | _numbers(margin))
                for rate in RATES:
                    numbers = _numbers(_values(own, rate))
                    rows.append(labels | {"quantity": rate, "mark": _mark(numbers["mean"])} | numbers)
                if predictor == BASE:
                    continue
                change[kind] = margin - before[kind]
                rows.append(labels | {"quantity": "change"} | _numbers(change[kind]))
                if kind != IDENTITY:
                    rows.append(labels | {"quantity": "did"} | _numbers(change[kind] - change[IDENTITY]))
                    if predictor == TUNED and strength == largest and of_family["conflict"].all():
                        judgeable.append(rows[-1])
    for name, stderr, size in (("verdict_items", "stderr", "n"), ("verdict_seeds", "stderr_seeds", "seeds")):
        claims: list[Claim] = []
        for row in judgeable:
            known = np.isfinite(row[stderr])
            claims.append(("", [Estimate(row["mean"], row[stderr])] if known else [], ""))
        found = judged(claims, judgeable[0][size], primary=True) if claims else []
        for row, finding in zip(judgeable, found, strict=True):
            row[name] = finding.verdict
    return pd.DataFrame(rows, columns=list(COLUMNS))


COLUMNS = (
    "quantity",
    "family",
    "predictor",
    "strength",
    "conjugation",
    "mean",
    "stderr",
    "stderr_seeds",
    "n",
    "seeds",
    "mark",
    "verdict_items",
    "verdict_seeds",
)


def told(found: pd.DataFrame) -> str:
    """The headline in lines: the change in English and every DiD of what was tuned, at the largest strength."""
    of_tuned = found[found["predictor"] == TUNED]
    largest = of_tuned[of_tuned["strength"] == of_tuned["strength"].max()]
    lines = []
    for family, rows in largest.groupby("family", sort=False):
        before = _row(found, "margin", family, BASE, IDENTITY)
        after = _row(largest, "margin", family, TUNED, IDENTITY)
        lines.append(f"{family}: margin in English {before['mean']:+.2f} before, {after['mean']:+.2f} after, in nats")
        rates = [_row(of, RATES[0], family, name, IDENTITY) for of, name in ((found, BASE), (largest, TUNED))]
        first, second = (f"{rate['mean']:.2f}{rate['mark'] and ', at its ' + rate['mark']}" for rate in rates)
        lines.append(f"  greedy output begins with A, in English: {first}, before; {second}, after")
        for _, row in rows[rows["quantity"] == "did"].iterrows():
            verdicts = [
                f"{row[f'verdict_{over}']} over {over}"
                for over in ("items", "seeds")
                if not pd.isna(row[f"verdict_{over}"])
            ]
            lines.append(f"  DiD, {row['conjugation']}: {number(row)}{': ' if verdicts else ''}{', '.join(verdicts)}")
    return "\n".join(lines)


def number(row: Any) -> str:
    """mean ± standard error over items (and over seeds), as text."""
    seeds = "" if pd.isna(row["stderr_seeds"]) else f" (seeds: ± {row['stderr_seeds']:.2f})"
    items = "" if pd.isna(row["stderr"]) else f" ± {row['stderr']:.2f}"
    return f"{row['mean']:+.2f}{items}{seeds}"


def _row(found: pd.DataFrame, quantity: str, family: Any, predictor: str, kind: str) -> Any:
    same = {"quantity": quantity, "family": family, "predictor": predictor, "conjugation": kind}
    return found[np.logical_and.reduce([found[name] == value for name, value in same.items()])].iloc[0]


def _one(table: pd.DataFrame, predictor: str, strength: float, kind: str) -> pd.DataFrame:
    return table[(table["predictor"] == predictor) & (table["strength"] == strength) & (table["conjugation"] == kind)]


def _values(rows: pd.DataFrame, column: str) -> Values:
    """A column by tuning seed and item [S, items]; draws are further items."""
    wide = rows.pivot(index="seed", columns=["draw", "item"], values=column).sort_index(axis=1)
    return wide.to_numpy(np.float64)


def _numbers(values: Values) -> dict[str, Any]:
    """Mean of [S, items], and its standard errors over items and over seeds; nan for a single one."""

    def stderr(means: Values) -> float:
        return float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("nan")

    seeds, items = values.shape
    return {
        "mean": float(values.mean()),
        "stderr": stderr(values.mean(axis=0)),
        "stderr_seeds": stderr(values.mean(axis=1)),
        "n": items,
        "seeds": seeds,
    }


def _mark(rate: float) -> str:
    return "floor" if rate <= FLOOR else "ceiling" if rate >= 1 - FLOOR else ""
