"""The probe: every predictor, under every conjugation, on the same held-out prompts -> one tidy table."""

import time
from collections.abc import Callable
from typing import Any

from implicit_inference.config.identity import parent_ids, parents_of
from implicit_inference.measure.beliefs import Beliefs, gates, prior_rows
from implicit_inference.measure.formulas import CLOSENESS_EDGES
from implicit_inference.measure.held_out import Exam
from implicit_inference.measure.lookup import STAGE_NAMES
from implicit_inference.measure.rows import binned_rows, position_rows
from implicit_inference.measure.summary import summarise
from implicit_inference.runs.drafts import owned, tidy
from implicit_inference.runs.environment import environment
from implicit_inference.runs.runtime import pinned
from implicit_inference.runs.store import Row, Run
from implicit_inference.training.loop import Lab
from implicit_inference.training.mixtures import log_weights, prior, stage_tasks
from implicit_inference.worlds import Predictor, described

Case = tuple[str, float | None, Any]
"""(name, strength, conjugation packed over seeds)"""


def probe(lab: Lab, report: Callable[[int, int], None]) -> Run:
    """Measure the finished stages of a configuration; skip it if that is done.

    Writes table.parquet and result.json. One row of the table: seed, quantity, split (report; tuning: the prompts on
    which strengths are chosen and priors fitted), family of the prompts, predictor, conjugation, strength, position
    (exemplars in context) or bin of closeness, n, mean, stderr (over prompts). Quantities: loss (against the truth);
    distance (the divergence from the forgotten family's exact predictor, on its prompts); prior_logit, prior_residual
    and prior_bound of the effective prior; gate (effective, by bin, prompts of both families); moved_odds (exact).
    """
    run = lab.run_of("probe")
    if run.finished:
        tidy(run)
        return run
    for stage in parents_of("probe", lab.config):
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
    beliefs, world, loss = Beliefs(exam), exam.described, exam.world.score.loss
    networks = {STAGE_NAMES[stage]: exam.network(stage) for stage in parents_of("probe", lab.config)}
    before, after, _ = networks
    ideals = {}
    for name in (before, after):
        prior = beliefs.prior(networks[name])
        ideals[f"bayes_effective_{name}"] = beliefs.ideal(prior.logit)
        rows += prior_rows(prior, seeds, split="tuning", predictor=name)
    predictors = networks | _exact(exam) | ideals
    compared, gated = (before, after, *ideals), (*networks, "bayes_pretraining", *ideals)
    batches = {family: exam.batch(family) for family in lab.config.families}
    truth = {family: exam.truth(batch) for family, batch in batches.items()}
    close = {family: beliefs.closeness(batches[family].prompts) for family in world.families}
    cases, forgotten = _cases(lab), world.forgotten
    for done, (conjugation, strength, packed) in enumerate(cases):
        report(done, len(cases) + 1)
        shown: Row = {"split": "report", "conjugation": conjugation, "strength": strength}
        predicted = {
            (family, name): exam.predictions(predictor, batch, packed)
            for family, batch in batches.items()
            for name, predictor in predictors.items()
        }
        for (family, name), predictions in predicted.items():
            rows += position_rows(loss(predictions, truth[family]), seeds, **_labels(family, name, **shown))
        rows += gates(predicted, close, world, gated, seeds, **shown)
        still = batches[forgotten].prompts
        shown_as = still if packed is None else lab.evaluator.moved(packed, still)
        moved = close[forgotten] - beliefs.closeness(shown_as)
        rows += position_rows(moved, seeds, **shown, quantity="moved_odds", family=forgotten)
        if packed is None:
            exact = predicted[forgotten, world.exact[forgotten]]
            for name in compared:
                distance = exam.world.score.divergence(exact, predicted[forgotten, name])
                rows += position_rows(distance, seeds, **_labels(forgotten, name, **shown) | {"quantity": "distance"})
                errors = loss(predicted[forgotten, name], truth[forgotten])[..., 1:]  # all but the empty context
                where = close[forgotten][..., 1:]
                rows += binned_rows(errors, where, CLOSENESS_EDGES, seeds, **_labels(forgotten, name, **shown))
    report(len(cases), len(cases) + 1)
    for name, network in networks.items():
        for conjugation, strength, packed in cases:
            if conjugation in ("identity", world.dial):
                labels = _labels(forgotten, name, "tuning", conjugation, strength)
                rows += position_rows(exam.errors(network, exam.batch(forgotten, "tuning"), packed), seeds, **labels)
    for family in batches:
        floor = loss(truth[family], truth[family])
        rows += position_rows(floor, seeds, **_labels(family, "oracle"))
    for name, network in networks.items():
        for family in batches:
            errors = exam.shrunk_errors(network, family)
            rows += position_rows(errors, seeds, **_labels(family, name, conjugation="shrink_only"))
    report(len(cases) + 1, len(cases) + 1)
    return [COLUMNS | row for row in rows]


LABELS = ("seed", "quantity", "split", "family", "predictor", "conjugation", "strength", "position", "bin")
COLUMNS: Row = dict.fromkeys((*LABELS, "n", "mean", "stderr"))


def _labels(
    family: str, predictor: str, split: str = "report", conjugation: str = "identity", strength: float | None = None
) -> Row:
    return {
        "quantity": "loss",
        "split": split,
        "family": family,
        "predictor": predictor,
        "conjugation": conjugation,
        "strength": strength,
    }


def _exact(exam: Exam) -> dict[str, Predictor]:
    """Exact Bayes under the prior of pretraining, of fine-tuning, and of either family alone."""
    config, names = exam.config, exam.described.exact
    weights = {stage: log_weights(getattr(config, stage).discrete_prob) for stage in ("pretrain", "finetune")}
    return {
        "bayes_pretraining": exam.exact(lambda seed: prior(config, seed, weights["pretrain"])),
        "bayes_finetuning": exam.exact(lambda seed: stage_tasks(config, config.finetune, seed, weights["finetune"])),
        names[exam.described.forgotten]: exam.forgotten,
        names[exam.described.preferred]: exam.preferred,
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
