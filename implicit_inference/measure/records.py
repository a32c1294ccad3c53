"""Numbers -> rows of one tidy table. NumPy only: what reads tables needs no accelerator stack."""

from typing import Any

import numpy as np

from implicit_inference.measure.formulas import Estimate, Gate, Values
from implicit_inference.runs.store import Record


def position_records(values: Values, seeds: tuple[int, ...], **labels: Any) -> list[Record]:
    """One row for each seed and position from values [S, prompts, K], say errors; stderr is over prompts."""
    n = values.shape[1]
    means, stderrs = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(n)
    return [
        labels | {"seed": seed, "position": k, "n": n, "mean": float(means[s, k]), "stderr": float(stderrs[s, k])}
        for s, seed in enumerate(seeds)
        for k in range(values.shape[2])
    ]


def curve_records(values: Values, seeds: tuple[int, ...], **labels: Any) -> list[Record]:
    """One row for each seed and position from values [S, K]."""
    return [
        labels | {"seed": seed, "position": k, "mean": value}
        for seed, curve in zip(seeds, values.tolist(), strict=True)
        for k, value in enumerate(curve)
    ]


def averaged_records(values: Values, seeds: tuple[int, ...], **labels: Any) -> list[Record]:
    """One row for each seed from values [S, prompts, positions], averaged over positions; stderr is over prompts."""
    n, part = values.shape[1], values.mean(axis=2)
    means, stderrs = part.mean(axis=1), part.std(axis=1, ddof=1) / np.sqrt(n)
    return [
        labels | {"seed": seed, "n": n, "mean": float(mean), "stderr": float(stderr)}
        for seed, mean, stderr in zip(seeds, means, stderrs, strict=True)
    ]


def binned_records(
    errors: Values, coordinate: Values, edges: tuple[float, ...], seeds: tuple[int, ...], **labels: Any
) -> list[Record]:
    """One row for each seed and bin of `coordinate` [S, prompts, K]: the mean of the errors of the same shape.

    Bin b is [edges[b-1], edges[b]), open at both ends; bins with fewer than two errors have no row. stderr takes
    the positions of a prompt as independent.
    """
    records = []
    for seed, error, where in zip(seeds, errors, np.digitize(coordinate, edges), strict=True):
        for b in range(len(edges) + 1):
            inside = error[where == b]
            if inside.size > 1:
                numbers = {"mean": float(inside.mean()), "stderr": float(inside.std(ddof=1) / np.sqrt(inside.size))}
                records.append(labels | {"seed": seed, "bin": b, "n": inside.size} | numbers)
    return records


def gate_records(gate: Gate, seed: int, **labels: Any) -> list[Record]:
    """One row for each bin of an effective gate that has one."""
    numbers = zip(*(part.tolist() for part in gate), strict=True)
    return [
        labels | {"seed": seed, "bin": b, "n": n, "mean": coefficient, "stderr": stderr}
        for b, (coefficient, stderr, n) in enumerate(numbers)
        if np.isfinite(coefficient)
    ]


def seed_records(values: Values, seeds: tuple[int, ...], **labels: Any) -> list[Record]:
    """One row for each seed from values [S]."""
    return [labels | {"seed": seed, "mean": float(value)} for seed, value in zip(seeds, values, strict=True)]


def estimate_record(estimate: Estimate | None, seeds: tuple[int, ...], **labels: Any) -> Record:
    """One row for all seeds; nan where the estimate is undefined."""
    found = estimate or Estimate(float("nan"), float("nan"))
    return labels | {"mean": found.mean, "stderr": found.stderr, "seeds": len(seeds)}
