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
from implicit_inference.beliefs import (
    DISTANT,
    Closeness,
    Predicted,
    both_families,
    distances,
    fit_priors,
    gates,
    ideal_learner,
)
from implicit_inference.config import FAMILIES
from implicit_inference.metrics import CLOSENESS_EDGES, Values, shrinkage
from implicit_inference.regression.bayes import bayes_predictor
from implicit_inference.regression.conjugate import (
    Conjugation,
    Identity,
    ScaleInputs,
    ScaleLabels,
    ShiftLabels,
)
from implicit_inference.regression.features import Features
from implicit_inference.regression.orbits import rotations
from implicit_inference.regression.prompts import Batch, Predictor, Prompts
from implicit_inference.regression.tasks import TaskDistribution
from implicit_inference.rows import Row, binned_rows, position_rows
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

    Writes table.parquet and result.json. One row of the table: seed, quantity, split (report; choice: the prompts on
    which strengths are chosen and priors fitted), prompts (the family), predictor, conjugation, strength, position
    (exemplars in context) or bin of closeness, n, mean, stderr (over prompts). Quantities: squared_error (noise-free);
    ridge_distance (squared, from the exact prediction on Gaussian prompts); prior_logit and prior_residual of the
    effective prior; gate (effective, by bin, prompts of both families); moved_odds (of Gaussian prompts, exact).
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
    truth = {key: np.asarray(batch.clean_labels, np.float64) for key, batch in batches.items()}
    predictors = _networks(lab) | _exact(lab)
    effective, rows = _effective(lab, predictors, batches)
    predictors |= effective
    closeness = Closeness(lab)
    close = {family: closeness(batches["report", family].prompts) for family in FAMILIES}
    scales = _label_scales(lab)
    cases = [_identity(lab), *scales, *_other_conjugations(lab)]
    for done, (conjugation, strength, packed) in enumerate(cases):
        report(done, len(cases) + 1)
        shown = {"split": "report", "conjugation": conjugation, "strength": strength}
        predicted = {
            (family, name): _predicted(lab, predictor, packed, batches["report", family])
            for family in lab.config.families
            for name, predictor in predictors.items()
        }
        for (family, name), predictions in predicted.items():
            labels = _labels("report", family, name, conjugation, strength)
            rows += position_rows((predictions - truth["report", family]) ** 2, seeds, **labels)
        rows += gates(predicted, close, seeds, **shown)
        moved = close["gaussian"] - closeness(lab.evaluator.moved(packed, batches["report", "gaussian"].prompts))
        rows += position_rows(moved, seeds, **shown, quantity="moved_odds", prompts="gaussian")
        if conjugation == "identity":
            rows += distances(predicted, seeds, **shown)
            rows += _by_closeness(predicted, truth["report", "gaussian"], close["gaussian"], seeds)
    report(len(cases), len(cases) + 1)
    for name in NETWORKS:
        for conjugation, strength, packed in (cases[0], *scales):
            predictions = _predicted(lab, predictors[name], packed, batches["choice", "gaussian"])
            labels = _labels("choice", "gaussian", name, conjugation, strength)
            rows += position_rows((predictions - truth["choice", "gaussian"]) ** 2, seeds, **labels)
    rows += _oracle(lab, batches) + _shrink_only(lab, predictors, batches)
    report(len(cases) + 1, len(cases) + 1)
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


def _predicted(lab: Lab, predictor: Predictor, conjugation: Any, batch: Batch) -> Values:
    return np.asarray(lab.evaluator.predict(predictor, conjugation, batch.prompts), np.float64)


def _effective(
    lab: Lab, predictors: dict[str, Predictor], batches: dict[tuple[str, str], Batch]
) -> tuple[dict[str, Predictor], list[Row]]:
    """Ideal learners with the prior odds that best imitate the networks before and after, fitted on `choice`."""
    both = both_families(lab, {family: batches["choice", family].prompts for family in FAMILIES})
    names = ("pretrained", "finetuned")
    predictions = {name: lab.evaluator.predict(predictors[name], _identity(lab)[2], both) for name in names}
    logits, rows = fit_priors(lab, predictions, both, split="choice")
    return {f"bayes_effective_{name}": ideal_learner(lab, logits[name]) for name in names}, rows


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
                predictions[split] = _predicted(lab, predictors[name], _identity(lab)[2], batch)
                truth[split] = np.asarray(batch.clean_labels, np.float64)
            factor = shrinkage(predictions["choice"], truth["choice"])[:, None]
            errors = (factor * predictions["report"] - truth["report"]) ** 2
            rows += position_rows(errors, lab.config.seeds, **_labels("report", family, name, "shrink_only"))
    return rows


def _by_closeness(predicted: Predicted, truth: Values, closeness: Values, seeds: tuple[int, ...]) -> list[Row]:
    """Losses on Gaussian prompts by how close the past is to the discrete set; all positions but the empty context."""
    rows = []
    for name in DISTANT:
        errors = ((predicted["gaussian", name] - truth) ** 2)[..., 1:]
        labels = _labels("report", "gaussian", name)
        rows += binned_rows(errors, closeness[..., 1:], CLOSENESS_EDGES, seeds, **labels)
    return rows
