"""What networks believe, read off their predictions: effective priors, effective gates, distances to ridge -> rows."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference.config import FAMILIES
from implicit_inference.metrics import Values, effective_gate
from implicit_inference.regression.bayes import bayes_predictor
from implicit_inference.regression.effective import effective_prior, log_evidence_ratio, shifted_prior
from implicit_inference.regression.prompts import Predictor, Prompts
from implicit_inference.rows import Row, gate_rows, position_rows
from implicit_inference.run import Lab
from implicit_inference.world import draw_tasks

Predicted = Mapping[tuple[str, str], Values]
"""(family of prompts, predictor) -> predictions [S, prompts, K] under one conjugation."""

GATED = (
    "pretrained",
    "finetuned",
    "scratch",
    "bayes_pretraining",
    "bayes_effective_pretrained",
    "bayes_effective_finetuned",
)
DISTANT = ("pretrained", "finetuned", "bayes_effective_pretrained", "bayes_effective_finetuned")


def both_families(lab: Lab, prompts: Mapping[str, Prompts]) -> Prompts:
    """The prompts [S, N, K] of both families, one after the other, [S, 2N, K]."""
    join = lab.over_seeds(lambda *parts: jax.tree.map(lambda *xs: jnp.concatenate(xs), *parts))
    return join(*(prompts[family] for family in FAMILIES))


def fit_priors(
    lab: Lab, predictions: Mapping[str, Array], prompts: Prompts, **labels: Any
) -> tuple[dict[str, Array], list[Row]]:
    """({name: logit [S]}, rows): the effective prior of each of the named predictions [S, 2N, K] for `prompts`.

    Two rows a name and seed, with `labels`: its prior_logit and its prior_residual. Works for networks at any step of
    fine-tuning; `prompts` should be `both_families` of a split that nothing else is reported on.
    """

    def fit(seed: Array, prompts: Prompts, predictions: Array) -> tuple[Array, Array]:
        discrete, gaussian = draw_tasks(lab.config, seed).values()
        return effective_prior(predictions, discrete, gaussian, prompts, jnp.asarray(lab.config.tasks.noise_std))

    fit_packed, logits, rows = lab.over_seeds(fit), {}, []
    for name, predicted in predictions.items():
        logits[name], residuals = fit_packed(lab.seeds, prompts, predicted)
        for quantity, values in (("prior_logit", logits[name]), ("prior_residual", residuals)):
            rows += [
                labels | {"seed": seed, "quantity": quantity, "predictor": name, "mean": float(value)}
                for seed, value in zip(lab.config.seeds, values, strict=True)
            ]
    return logits, rows


def ideal_learner(lab: Lab, logits: Array) -> Predictor:
    """Exact Bayes with prior log odds `logits` [S] of the discrete set, packed over seeds."""

    def ideal(seed: Array, logit: Array) -> Predictor:
        discrete, gaussian = draw_tasks(lab.config, seed).values()
        return bayes_predictor(shifted_prior(discrete, gaussian, logit), jnp.asarray(lab.config.tasks.noise_std))

    return lab.over_seeds(ideal)(lab.seeds, logits)


class Closeness:
    """The exact log evidence ratio of the past, discrete against Gaussian, [S, prompts, K]: compiled once."""

    def __init__(self, lab: Lab):
        def ratio(seed: Array, prompts: Prompts) -> Array:
            discrete, gaussian = draw_tasks(lab.config, seed).values()
            return log_evidence_ratio(discrete, gaussian, prompts, jnp.asarray(lab.config.tasks.noise_std))

        self._lab, self._ratio = lab, lab.over_seeds(ratio)

    def __call__(self, prompts: Prompts) -> Values:
        return np.asarray(self._ratio(self._lab.seeds, prompts), np.float64)


def gates(predicted: Predicted, closeness: Mapping[str, Values], seeds: tuple[int, ...], **labels: Any) -> list[Row]:
    """Effective gates under one conjugation, by bins of the closeness of the prompts as they were, both families.

    The exact predictions that they are measured against are conjugated too, so an ideal learner's gate is its posterior
    for the prompt as shown. All positions but the empty context.
    """

    def joined(values: Mapping[Any, Values], *name: str) -> Values:
        parts = [values[(family, *name) if name else family] for family in FAMILIES]
        return np.concatenate(parts, axis=1)[..., 1:]

    first, second, where = joined(predicted, "discrete_posterior"), joined(predicted, "ridge"), joined(closeness)
    rows = []
    for name in GATED:
        values = joined(predicted, name)
        for s, seed in enumerate(seeds):
            gate = effective_gate(values[s], first[s], second[s], where[s])
            rows += gate_rows(gate, seed, **labels, quantity="gate", prompts="both", predictor=name)
    return rows


def distances(predicted: Predicted, seeds: tuple[int, ...], **labels: Any) -> list[Row]:
    """Squared distances to ridge on Gaussian prompts: losses above the least possible, without the label's chance."""
    rows = []
    for name in DISTANT:
        squared = (predicted["gaussian", name] - predicted["gaussian", "ridge"]) ** 2
        labelled = labels | {"quantity": "ridge_distance", "prompts": "gaussian", "predictor": name}
        rows += position_rows(squared, seeds, **labelled)
    return rows
