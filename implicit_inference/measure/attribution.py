"""Attributes the forgetting, from a probe's table: its parts, accounts of it, gates, calibration."""

from typing import Any

import numpy as np

from implicit_inference.bayes.attribution import ACCOUNTS, CONSTANT_PULL, GATE_EDGES
from implicit_inference.measure.formulas import (
    RANGES,
    Estimate,
    calibration,
    net_recovery,
    over_seeds,
    ratio,
    share,
)
from implicit_inference.measure.lookup import IDENTITY, UNCHANGED, Case, Table, as_json, estimated, fraction

ACCOUNT_NAMES = (CONSTANT_PULL, *ACCOUNTS)


def attributed(table: Table) -> dict[str, Any]:
    """The rise of the distance on the line between the exact predictors and off it, by range, and of scratch.

    `share`: on the line / the whole rise; above 1 only if the distance off the line has fallen. `odds` and `weight`
    are the Shapley parts of the rise that the account of prior and weight has on the line.
    """
    summary: dict[str, Any] = {}
    for where in RANGES:
        summary[where] = {}
        for name in (table.after, table.networks[-1]):
            parts = table.attribution(where, name)
            whole = parts.on_line + parts.off_line
            numbers = {"forgetting": estimated(whole), "on_line": estimated(parts.on_line)}
            numbers |= {"off_line": estimated(parts.off_line), "share": fraction(share(parts.on_line, whole))}
            summary[where] |= numbers if name == table.after else {name: numbers}
        for part in ("odds", "weight"):
            summary[where][part] = estimated(table.ranged(f"shapley_{part}", None, where))
    return summary


def accounted(table: Table) -> dict[str, Any]:
    """Each account by range: its numbers before and after, the forgetting that it says, and how well it fits.

    `r2`: 1 - the mean divergence of the network after from what the account says / that from the network before, on
    prompts of the forgotten family that it was not fitted on.
    """
    summary: dict[str, Any] = {}
    forgetting = {
        where: table.averaged(table.curve(table.after) - table.curve(table.before), where) for where in RANGES
    }
    for where in RANGES:
        nothing, summary[where] = table.ranged("account_residual", UNCHANGED, where), {}
        for name in ACCOUNT_NAMES:
            residual, says = table.ranged("account_residual", name, where), table.rise(name, where)
            numbers = ACCOUNTS.get(name, ())
            summary[where][name] = {
                "forgetting": estimated(says),
                "share": fraction(share(says, forgetting[where])),
                "residual": estimated(residual),
                "r2": as_json(ratio(nothing - residual, nothing)),
                "numbers": {
                    number: {
                        when: estimated(table.ranged(f"{name}_{number}", predictor, where, None))
                        for when, predictor in (("before", table.before), ("after", table.after))
                    }
                    for number in numbers
                },
            }
    return summary


def conjugated(table: Table) -> dict[str, Any]:
    """Every conjugation but the identity by range: net recovery measured and by account, the gate, the moved odds."""
    return {
        where: [
            {"conjugation": case[0], "strength": case[1]}
            | {"net": fraction(table.net(where, case))}
            | {"predicted": {name: fraction(predicted_net(table, name, where, case)) for name in ACCOUNT_NAMES}}
            | {"controls": {name: fraction(table.net(where, case, name)) for name in table.controls}}
            | {"gate_closed": fraction(gate_closed(table, where, case))}
            | {"moved_odds": estimated(table.averaged(table.curve(None, case=case, quantity="moved_odds"), where))}
            for case in table.cases()[1:]
        ]
        for where in RANGES
    }


def predicted_net(table: Table, account: str, where: str, case: Case) -> Estimate | None:
    """The net recovery that an account says, as a fraction of the forgetting that it says."""
    rises = (table.rise(account, where, of) for of in (IDENTITY, case))
    zero = np.zeros(len(table.seeds))
    still, conjugated = rises
    return net_recovery(zero, still, zero, conjugated)


def gate_closed(table: Table, where: str, case: Case) -> Estimate | None:
    """The share that a conjugation closes of the gap between the gates before and after, on the forgotten family."""
    gates = (table.ranged("range_gate", name, where, of) for of in (IDENTITY, case) for name in table.networks[:2])
    return net_recovery(*gates)


def calibrated(table: Table) -> dict[str, Any]:
    """The line through measured against predicted net recovery over all conjugations, for each account, by range."""
    summary: dict[str, Any] = {}
    cases = table.cases()
    for where in RANGES:
        rises = [
            table.averaged(table.curve(table.after, case=case) - table.curve(table.before, case=case), where)
            for case in cases
        ]
        measured, summary[where] = np.stack(rises, axis=1), {}
        for name in ACCOUNT_NAMES:
            predicted = np.stack([table.rise(name, where, case) for case in cases], axis=1)
            found = calibration(predicted, measured)
            parts = found._asdict() if found else {"slope": None, "r2": None}
            summary[where][name] = {part: fraction(value) for part, value in parts.items()}
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
        "ranges": {
            where: {name: estimated(table.ranged("range_gate", name, where)) for name in (before, after)}
            for where in RANGES
        },
    }
