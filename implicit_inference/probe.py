"""The probe: every predictor, under every conjugation, on the same held-out prompts -> one tidy table."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference import keys
from implicit_inference.config import FAMILIES
from implicit_inference.evaluate import Row, binned_rows, position_rows
from implicit_inference.metrics import CLOSENESS_EDGES, Values, shrinkage
from implicit_inference.regression.bayes import bayes_predictor
from implicit_inference.regression.conjugate import (
    Conjugation,
    Identity,
    ScaleInputs,
    ScaleLabels,
    ShiftLabels,
)
from implicit_inference.regression.effective import effective_prior, shifted_prior
from implicit_inference.regression.features import Features
from implicit_inference.regression.inference import log_posterior_odds
from implicit_inference.regression.orbits import rotations
from implicit_inference.regression.prompts import Batch, Predictor, Prompts
from implicit_inference.regression.tasks import TaskDistribution
from implicit_inference.run import Lab
from implicit_inference.store import Run, StoreError
from implicit_inference.summary import summarise
from implicit_inference.world import draw_tasks, features, held_out, log_weights, prior, stage_tasks

SPLITS = ("report", "choice")
"""Prompts to report on, and other prompts to choose strengths and fit priors on."""

NETWORKS = {"pretrained": "pretrain", "finetuned": "finetune", "scratch": "scratch"}

Case = tuple[str, float | None, Any]
"""(name, strength, conjugation packed over seeds)"""


def probe(lab: Lab, report: Callable[[int, int], None]) -> Run:
    """Measure the finished stages of a configuration; skip it if that is done.

    Writes table.parquet and result.json. One row of the table: seed, quantity (squared_error, or prior_logit for
    the effective prior), split (report; choice: the prompts on which strengths are chosen), prompts (the family),
    predictor, conjugation, strength, position (exemplars in context) or closeness bin, n, mean, stderr (over prompts).
    """
    run = lab.run_of("probe")
    if run.finished:
        return run
    began = time.monotonic()
    stages = [lab.run_of(stage) for stage in NETWORKS.values()]
    for stage in stages:
        if not stage.finished:
            raise StoreError(f"{stage.id}: must be finished before it is probed")
    run.begin(lab.config, [stage.id for stage in stages])
    rows = measure(lab, report)
    run.write_table("table.parquet", rows)
    run.write_json("result.json", {"id": run.id, "summary": summarise(rows, lab.config)})
    run.finish(time.monotonic() - began)
    return run


def measure(lab: Lab, report: Callable[[int, int], None]) -> list[Row]:
    """All rows of the table."""
    seeds = lab.config.seeds
    batches = lab.over_seeds(partial(_held_out, lab))(lab.seeds)
    predictors = _networks(lab) | _exact(lab)
    effective, rows = _effective(lab, predictors, batches)
    predictors |= effective
    scales = _label_scales(lab)
    cases = [_identity(lab), *scales, *_other_conjugations(lab)]
    work = [("report", family, name, cases) for family in lab.config.families for name in predictors]
    work += [("choice", "gaussian", name, [cases[0], *scales]) for name in NETWORKS]
    for done, (split, family, name, which) in enumerate(work):
        report(done, len(work))
        batch = batches[split, family]
        truth = np.asarray(batch.clean_labels, np.float64)
        for conjugation, strength, packed in which:
            predictions = np.asarray(lab.evaluator.predict(predictors[name], packed, batch.prompts), np.float64)
            labels = _labels(split, family, name, conjugation, strength)
            rows += position_rows((predictions - truth) ** 2, seeds, **labels)
    rows += _oracle(lab, batches) + _shrink_only(lab, predictors, batches) + _closeness(lab, predictors, batches)
    report(len(work), len(work))
    return [COLUMNS | row for row in rows]


LABELS = ("seed", "quantity", "split", "prompts", "predictor", "conjugation", "strength", "position", "bin")
COLUMNS: Row = dict.fromkeys((*LABELS, "n", "mean", "stderr"))


def _labels(
    split: str, family: str, predictor: str, conjugation: str = "identity", strength: float | None = None
) -> Row:
    return {
        "quantity": "squared_error",
        "split": split,
        "prompts": family,
        "predictor": predictor,
        "conjugation": conjugation,
        "strength": strength,
    }


def _held_out(lab: Lab, seed: Array) -> dict[tuple[str, str], Batch]:
    return {
        (split, family): held_out(lab.config, seed, f"probe {split}", family, lab.config.probe.prompts)
        for split in SPLITS
        for family in lab.config.families
    }


def _networks(lab: Lab) -> dict[str, Predictor]:
    return {name: lab.network(lab.params_of(stage)) for name, stage in NETWORKS.items()}


def _exact(lab: Lab) -> dict[str, Predictor]:
    config = lab.config
    shown = partial(stage_tasks, config, config.finetune, weights=log_weights(config.finetune.discrete_prob))
    priors: dict[str, Callable[[Array], TaskDistribution]] = {
        "bayes_pretraining": lambda seed: prior(config, seed, log_weights(config.pretrain.discrete_prob)),
        "bayes_finetuning": shown,
        "ridge": lambda seed: draw_tasks(config, seed)["gaussian"],
        "discrete_posterior": lambda seed: draw_tasks(config, seed)["discrete"],
    }

    def predictor(tasks: Callable[[Array], TaskDistribution], seed: Array) -> Predictor:
        return bayes_predictor(tasks(seed), jnp.asarray(config.tasks.noise_std))

    return {name: lab.over_seeds(partial(predictor, tasks))(lab.seeds) for name, tasks in priors.items()}


def _effective(
    lab: Lab, predictors: dict[str, Predictor], batches: dict[tuple[str, str], Batch]
) -> tuple[dict[str, Predictor], list[Row]]:
    """Exact mixtures with the prior odds that best imitate the networks before and after, fitted on `choice`."""
    noise_std = jnp.asarray(lab.config.tasks.noise_std)
    both = lab.over_seeds(lambda *parts: jax.tree.map(lambda *xs: jnp.concatenate(xs), *parts))(
        *(batches["choice", family].prompts for family in FAMILIES)
    )

    def fit(seed: Array, prompts: Prompts, predictions: Array) -> tuple[Array, Array, Predictor]:
        discrete, gaussian = draw_tasks(lab.config, seed).values()
        logit, residual = effective_prior(predictions, discrete, gaussian, prompts, noise_std)
        return logit, residual, bayes_predictor(shifted_prior(discrete, gaussian, logit), noise_std)

    fit_packed, fitted, rows = lab.over_seeds(fit), {}, []
    for name in ("pretrained", "finetuned"):
        predictions = lab.evaluator.predict(predictors[name], _identity(lab)[2], both)
        logits, residuals, fitted[f"bayes_effective_{name}"] = fit_packed(lab.seeds, both, predictions)
        for quantity, values in (("prior_logit", logits), ("prior_residual", residuals)):
            rows += [
                {"seed": seed, "quantity": quantity, "split": "choice", "predictor": name, "mean": float(value)}
                for seed, value in zip(lab.config.seeds, values, strict=True)
            ]
    return fitted, rows


def _identity(lab: Lab) -> Case:
    return ("identity", None, lab.packed(Identity()))


def _label_scales(lab: Lab) -> list[Case]:
    return [("label_scale", g, lab.packed(ScaleLabels(jnp.asarray(g)))) for g in lab.config.probe.label_scales]


def _other_conjugations(lab: Lab) -> list[Case]:
    dim = lab.config.tasks.dim

    def rotation(seed: Array) -> Conjugation:
        return rotations(keys.stream(seed, "probe rotation"), dim, 1)[0]

    def shift(length: float, seed: Array) -> Conjugation:
        direction = jax.random.normal(keys.stream(seed, "probe shift"), (dim,))
        return ShiftLabels(length * direction / jnp.linalg.norm(direction))

    return [
        *(("input_scale", c, lab.packed(ScaleInputs(jnp.asarray(c)))) for c in lab.config.probe.input_scales),
        *(("label_shift", v, lab.over_seeds(partial(shift, v))(lab.seeds)) for v in lab.config.probe.label_shifts),
        ("rotation", None, lab.over_seeds(rotation)(lab.seeds)),
    ]


def _oracle(lab: Lab, batches: dict[tuple[str, str], Batch]) -> list[Row]:
    """The predictor that knows w: its noise-free loss is 0, the floor of every table."""

    def answers(phi: Features | None, ws: Array, prompts: Prompts) -> Array:
        return jnp.einsum("nkp,np->nk", phi(prompts.xs) if phi else prompts.xs, ws)

    phi = lab.over_seeds(partial(features, lab.config))(lab.seeds)
    rows = []
    for family in lab.config.families:
        batch = batches["report", family]
        oracle = jax.tree_util.Partial(answers, phi, batch.ws)
        predictions = lab.evaluator.predict(oracle, _identity(lab)[2], batch.prompts)
        errors = np.asarray(predictions - batch.clean_labels, np.float64) ** 2
        rows += position_rows(errors, lab.config.seeds, **_labels("report", family, "oracle"))
    return rows


def _shrink_only(lab: Lab, predictors: dict[str, Predictor], batches: dict[tuple[str, str], Batch]) -> list[Row]:
    """The control that leaves the prompt alone: predictions / c with the best c of each seed and position.

    c is fitted to the truth of the `choice` prompts, which favours this control over any one strength.
    """
    rows = []
    for name in NETWORKS:
        for family in lab.config.families:
            predictions, truth = {}, {}
            for split in ("choice", "report"):
                batch = batches[split, family]
                predicted = lab.evaluator.predict(predictors[name], _identity(lab)[2], batch.prompts)
                predictions[split] = np.asarray(predicted, np.float64)
                truth[split] = np.asarray(batch.clean_labels, np.float64)
            factor = shrinkage(predictions["choice"], truth["choice"])[:, None]
            errors = (factor * predictions["report"] - truth["report"]) ** 2
            rows += position_rows(errors, lab.config.seeds, **_labels("report", family, name, "shrink_only"))
    return rows


def _closeness(lab: Lab, predictors: dict[str, Predictor], batches: dict[tuple[str, str], Batch]) -> list[Row]:
    """Losses on Gaussian prompts by how close the past is to the discrete set: exact log odds under even priors."""
    config, batch = lab.config, batches["report", "gaussian"]

    def odds(seed: Array, prompts: Prompts) -> Array:
        even = prior(config, seed, log_weights(0.5))
        return log_posterior_odds(even, prompts, jnp.asarray(config.tasks.noise_std))[..., 0]

    coordinate: Values = np.asarray(lab.over_seeds(odds)(lab.seeds, batch.prompts), np.float64)[..., 1:]
    truth = np.asarray(batch.clean_labels, np.float64)
    rows = []
    for name in ("pretrained", "finetuned", "bayes_effective_pretrained", "bayes_effective_finetuned"):
        predictions = np.asarray(lab.evaluator.predict(predictors[name], _identity(lab)[2], batch.prompts))
        errors = ((predictions - truth) ** 2)[..., 1:]
        labels = _labels("report", "gaussian", name)
        rows += binned_rows(errors, coordinate, CLOSENESS_EDGES, config.seeds, **labels)
    return rows
