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
from implicit_inference.bayes.conjugation import Conjugation
from implicit_inference.config.fields import FAMILIES
from implicit_inference.config.identity import parent_ids
from implicit_inference.measure.beliefs import (
    DISTANT,
    Beliefs,
    Predicted,
    distances,
    gates,
    prior_rows,
)
from implicit_inference.measure.formulas import CLOSENESS_EDGES, Values
from implicit_inference.measure.held_out import Exam
from implicit_inference.measure.rows import binned_rows, position_rows
from implicit_inference.measure.summary import summarise
from implicit_inference.regression.conjugations import Identity, ScaleInputs, ScaleLabels, ShiftLabels
from implicit_inference.regression.families.features import Features
from implicit_inference.regression.orbits import rotations
from implicit_inference.regression.prompts import Predictor, Prompts
from implicit_inference.regression.world import features, log_weights, prior, stage_tasks
from implicit_inference.runs.drafts import owned, tidy
from implicit_inference.runs.environment import environment
from implicit_inference.runs.runtime import pinned
from implicit_inference.runs.store import Row, Run
from implicit_inference.training.loop import Lab

NETWORKS = {"pretrained": "pretrain", "finetuned": "finetune", "scratch": "scratch"}

Case = tuple[str, float | None, Any]
"""(name, strength, conjugation packed over seeds)"""


def probe(lab: Lab, report: Callable[[int, int], None]) -> Run:
    """Measure the finished stages of a configuration; skip it if that is done.

    Writes table.parquet and result.json. One row of the table: seed, quantity, split (report; choice: the prompts on
    which strengths are chosen and priors fitted), prompts (the family), predictor, conjugation, strength, position
    (exemplars in context) or bin of closeness, n, mean, stderr (over prompts). Quantities: squared_error (noise-free);
    ridge_distance (squared, from the exact prediction on Gaussian prompts); prior_logit, prior_residual and prior_bound
    of the effective prior; gate (effective, by bin, prompts of both families); moved_odds (of Gaussian prompts, exact).
    """
    run = lab.run_of("probe")
    if run.finished:
        tidy(run)
        return run
    for stage in NETWORKS.values():
        lab.finished_run(stage)
    with owned(run) as draft:
        if run.finished:
            return run
        began = time.monotonic()
        draft.begin(lab.config, parent_ids("probe", lab.config))
        rows = measure(lab, report)
        draft.write_table("table.parquet", rows)
        draft.write_json("result.json", {"id": run.id, "summary": summarise(rows, lab.config)})
        draft.finish(environment(time.monotonic() - began))
    return run


@pinned()
def measure(lab: Lab, report: Callable[[int, int], None]) -> list[Row]:
    """All rows of the table."""
    exam, seeds, rows = Exam(lab), lab.config.seeds, []
    beliefs = Beliefs(exam)
    predictors = {name: exam.network(stage) for name, stage in NETWORKS.items()} | _exact(exam)
    for name in ("pretrained", "finetuned"):
        prior = beliefs.prior(predictors[name])
        predictors[f"bayes_effective_{name}"] = beliefs.ideal(prior.logit)
        rows += prior_rows(prior, seeds, split="choice", predictor=name)
    shown_prompts = {family: exam.batch(family) for family in lab.config.families}
    truth = {family: np.asarray(batch.clean_labels, np.float64) for family, batch in shown_prompts.items()}
    close = {family: beliefs.closeness(shown_prompts[family].prompts) for family in FAMILIES}
    scales = _label_scales(lab)
    cases = [_identity(lab), *scales, *_other_conjugations(lab)]
    for done, (conjugation, strength, packed) in enumerate(cases):
        report(done, len(cases) + 1)
        shown = {"split": "report", "conjugation": conjugation, "strength": strength}
        predicted = {
            (family, name): exam.predictions(predictor, batch, packed)
            for family, batch in shown_prompts.items()
            for name, predictor in predictors.items()
        }
        for (family, name), predictions in predicted.items():
            labels = _labels("report", family, name, conjugation, strength)
            rows += position_rows((predictions - truth[family]) ** 2, seeds, **labels)
        rows += gates(predicted, close, seeds, **shown)
        moved = close["gaussian"] - beliefs.closeness(lab.evaluator.moved(packed, shown_prompts["gaussian"].prompts))
        rows += position_rows(moved, seeds, **shown, quantity="moved_odds", prompts="gaussian")
        if conjugation == "identity":
            rows += distances(predicted, seeds, **shown)
            rows += _by_closeness(predicted, truth["gaussian"], close["gaussian"], seeds)
    report(len(cases), len(cases) + 1)
    for name in NETWORKS:
        for conjugation, strength, packed in (cases[0], *scales):
            labels = _labels("choice", "gaussian", name, conjugation, strength)
            errors = exam.errors(predictors[name], exam.batch("gaussian", "choice"), packed)
            rows += position_rows(errors, seeds, **labels)
    rows += _oracle(exam) + _shrink_only(exam, predictors)
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


def _exact(exam: Exam) -> dict[str, Predictor]:
    config = exam.config
    weights = {stage: log_weights(getattr(config, stage).discrete_prob) for stage in ("pretrain", "finetune")}
    return {
        "bayes_pretraining": exam.exact(lambda seed: prior(config, seed, weights["pretrain"])),
        "bayes_finetuning": exam.exact(lambda seed: stage_tasks(config, config.finetune, seed, weights["finetune"])),
        "ridge": exam.ridge,
        "discrete_posterior": exam.discrete_posterior,
    }


def _identity(lab: Lab) -> Case:
    return ("identity", None, lab.packed(Identity()))


def _label_scales(lab: Lab) -> list[Case]:
    return [("label_scale", g, lab.packed(ScaleLabels(jnp.asarray(g)))) for g in lab.config.probe.label_scales]


def _other_conjugations(lab: Lab) -> list[Case]:
    dim = lab.config.tasks.dim

    def rotation(seed: Array) -> Conjugation:
        return rotations(keys.stream(seed, "probe rotation"), dim, 1)[0]

    def shift(length: float, seed: Array) -> Conjugation:
        direction = jax.random.normal(keys.stream(seed, "probe shift"), (dim,), jnp.float32)
        return ShiftLabels(length * direction / jnp.linalg.norm(direction))

    return [
        *(("input_scale", c, lab.packed(ScaleInputs(jnp.asarray(c)))) for c in lab.config.probe.input_scales),
        *(("label_shift", v, lab.over_seeds(partial(shift, v))(lab.seeds)) for v in lab.config.probe.label_shifts),
        ("rotation", None, lab.over_seeds(rotation)(lab.seeds)),
    ]


def _oracle(exam: Exam) -> list[Row]:
    """The predictor that knows w: its noise-free loss is 0, the floor of every table."""

    def answers(phi: Features | None, ws: Array, prompts: Prompts) -> Array:
        return jnp.einsum("nkp,np->nk", phi(prompts.xs) if phi else prompts.xs, ws)

    phi = exam.per_seed(partial(features, exam.config))
    rows = []
    for family in exam.config.families:
        batch = exam.batch(family)
        errors = exam.errors(jax.tree_util.Partial(answers, phi, batch.ws), batch)
        rows += position_rows(errors, exam.config.seeds, **_labels("report", family, "oracle"))
    return rows


def _shrink_only(exam: Exam, predictors: dict[str, Predictor]) -> list[Row]:
    """The control that leaves the prompt alone, of every network on every family."""
    rows = []
    for name in NETWORKS:
        for family in exam.config.families:
            errors = exam.shrunk_errors(predictors[name], family)
            rows += position_rows(errors, exam.config.seeds, **_labels("report", family, name, "shrink_only"))
    return rows


def _by_closeness(predicted: Predicted, truth: Values, closeness: Values, seeds: tuple[int, ...]) -> list[Row]:
    """Losses on Gaussian prompts by how close the past is to the discrete set; all positions but the empty context."""
    rows = []
    for name in DISTANT:
        errors = ((predicted["gaussian", name] - truth) ** 2)[..., 1:]
        labels = _labels("report", "gaussian", name)
        rows += binned_rows(errors, closeness[..., 1:], CLOSENESS_EDGES, seeds, **labels)
    return rows
