"""The probe: every predictor, under every conjugation, on the same held-out prompts -> one tidy table."""

import time
from collections.abc import Callable
from typing import Any

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
from implicit_inference.runs.drafts import owned, tidy
from implicit_inference.runs.environment import environment
from implicit_inference.runs.runtime import pinned
from implicit_inference.runs.store import Row, Run
from implicit_inference.training.loop import Lab
from implicit_inference.training.mixtures import log_weights, prior, stage_tasks
from implicit_inference.worlds import Predictor, described

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
    truth = {family: exam.truth(batch) for family, batch in shown_prompts.items()}
    close = {family: beliefs.closeness(shown_prompts[family].prompts) for family in FAMILIES}
    cases = _cases(lab)
    scales = [case for case in cases if case[0] == exam.described.dial]
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
            rows += position_rows(exam.world.score.loss(predictions, truth[family]), seeds, **labels)
        rows += gates(predicted, close, seeds, **shown)
        still = shown_prompts["gaussian"].prompts
        moved = close["gaussian"] - beliefs.closeness(
            lab.evaluator.moved(packed, still) if packed is not None else still
        )
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
        exam.described.exact[exam.described.forgotten]: exam.forgotten,
        exam.described.exact[exam.described.preferred]: exam.preferred,
    }


def _cases(lab: Lab) -> list[Case]:
    """The identity first, then every conjugation of the world at every strength."""
    cases: list[Case] = [("identity", None, None)]
    for name, move in described(lab.config.world).moves.items():
        for strength in getattr(lab.config.probe, move.field) if move.field else (None,):
            cases.append((name, strength, _packed(lab, name, strength)))
    return cases


def _packed(lab: Lab, name: str, strength: float | None) -> Any:
    return lab.over_seeds(lambda seed: lab.world.conjugation(seed, name, strength))(lab.seeds)


def _oracle(exam: Exam) -> list[Row]:
    """The predictor that knows the task: its loss against the truth is the floor of every table."""
    rows = []
    for family in exam.config.families:
        truth = exam.truth(exam.batch(family))
        labels = _labels("report", family, "oracle")
        rows += position_rows(exam.world.score.loss(truth, truth), exam.config.seeds, **labels)
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
