"""The probe: every predictor, under every conjugation, on the same held-out prompts -> one tidy table."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from implicit_inference.config.fields import Config
from implicit_inference.config.identity import parent_ids, parents_of
from implicit_inference.measure.accounts import Accounts
from implicit_inference.measure.beliefs import Answers, Beliefs, attribution, gates, prior_records, range_gates
from implicit_inference.measure.damage import untrained
from implicit_inference.measure.formulas import CLOSENESS_EDGES, Values
from implicit_inference.measure.held_out import HeldOut, cases
from implicit_inference.measure.lookup import STAGE_NAMES
from implicit_inference.measure.records import binned_records, curve_records, position_records
from implicit_inference.measure.summary import summarise
from implicit_inference.runs.drafts import owned, tidy
from implicit_inference.runs.environment import environment
from implicit_inference.runs.runtime import pinned
from implicit_inference.runs.store import Record, Run
from implicit_inference.training.batches import family as family_tasks
from implicit_inference.training.batches import log_weights, prior, stage_tasks
from implicit_inference.training.loop import Trained
from implicit_inference.worlds import Tasks, described


def probe(trained: Trained, report: Callable[[int, int], None]) -> Run:
    """Measure the finished stages of a configuration; skip it if that is done.

    Writes table.parquet and result.json. One row of the table: seed, quantity, split (report; tuning: the prompts on
    which strengths are chosen and priors fitted), family of the prompts, predictor, conjugation, strength, position
    (exemplars in context), range of positions, or bin of closeness, n, mean, stderr (over prompts). Quantities: loss
    (against the truth); on_line and off_line (the parts of the divergence from the forgotten family's exact predictor,
    on its prompts); prior_logit, prior_residual and prior_bound of the effective prior; position_odds (its log odds at
    each position alone); ACCOUNT_odds and other numbers of accounts, account_loss and account_residual; shapley_odds
    and shapley_weight; gate (effective: by bin, prompts of both families; by range, those of the forgotten family);
    moved_odds (exact); and the quantities of the world.
    """
    run = trained.run_of("probe")
    if run.finished:
        tidy(run)
        return run
    for stage in parents_of("probe", trained.config):
        trained.finished_run(stage)
    with owned(run) as draft:
        if run.finished:
            return run
        began = time.monotonic()
        draft.begin(trained.config, parent_ids("probe", trained.config))
        records = measure(trained, report)
        draft.write_table("table.parquet", records)
        draft.write_json("result.json", {"id": run.id, "summary": summarise(records, trained.config)})
        draft.finish(environment(time.monotonic() - began))
    return run


@pinned()
def measure(trained: Trained, report: Callable[[int, int], None]) -> list[Record]:
    """All records of the table."""
    held_out, config, records = HeldOut(trained), trained.config, list[Record]()
    seeds, beliefs, world, score = config.seeds, Beliefs(held_out), held_out.described, held_out.world.score
    networks = {STAGE_NAMES[stage]: trained.network(stage) for stage in parents_of("probe", config)}
    before, after, _ = networks
    ideals = {}
    for name in (before, after):
        prior = beliefs.prior(networks[name])
        ideals[f"bayes_effective_{name}"] = beliefs.ideal(prior.logit)
        records += prior_records(prior, seeds, split="tuning", predictor=name)
        odds = beliefs.odds_by_position(networks[name])
        records += curve_records(odds, seeds, split="tuning", quantity="position_odds", predictor=name)
    networks |= untrained(held_out)
    predictors = networks | {name: held_out.exact(tasks) for name, tasks in exact_tasks(config).items()} | ideals
    accounts = Accounts(held_out, beliefs, networks[before], networks[after])
    records += accounts.number_records(before, after, split="tuning")
    compared, gated = (before, after, *ideals), (*networks, "bayes_pretraining", *ideals)
    batches = {family: held_out.batch(family) for family in config.families}
    truth = {family: held_out.truth(batch) for family, batch in batches.items()}
    close = {family: held_out.closeness(batches[family].prompts) for family in world.families}
    to_show, forgotten = cases(held_out), world.forgotten
    exact = [world.exact[family] for family in world.families]
    for done, case in enumerate(to_show):
        report(done, len(to_show) + 1)
        labels: Record = {"split": "report", "conjugation": case.name, "strength": case.strength}
        views = {family: case.view(held_out, batch) for family, batch in batches.items()}
        predicted = dict[tuple[str, str], Values]()
        for family, view in views.items():
            prompts = batches[family].prompts
            for name, predictor in predictors.items():
                predictions, named = view.predictions(predictor), _labels(family, name, **labels)
                predicted[family, name] = held_out.world.judged(predictions, prompts)
                records += position_records(score.loss(predicted[family, name], truth[family]), seeds, **named)
                for quantity, of in held_out.world.quantities.items():
                    values = np.asarray(of(predictions, truth[family], prompts), np.float64)
                    records += position_records(values, seeds, **named | {"quantity": quantity})
        records += gates(predicted, close, world, gated, seeds, **labels)
        log_ratio = views[forgotten].log_ratio()
        away = close[forgotten] - log_ratio
        records += position_records(away, seeds, **labels, quantity="moved_odds", family=forgotten)
        before_after = predicted[forgotten, before], predicted[forgotten, after]
        first, second = (predicted[forgotten, name] for name in exact)
        answers = Answers(*before_after, first, second, log_ratio, truth[forgotten])
        records += accounts.records(answers, **labels, family=forgotten)
        records += range_gates(answers, (before, after), held_out, **labels, family=forgotten)
        if case.name == "identity":
            records += accounts.shapley_records(answers, **labels, family=forgotten)
            for name in networks:
                parts = attribution(held_out, predicted[forgotten, name], answers)
                for part, values in parts._asdict().items():
                    records += curve_records(values, seeds, **_labels(forgotten, name, **labels) | {"quantity": part})
            for name in compared:
                errors = score.loss(predicted[forgotten, name], truth[forgotten])[..., 1:]  # all but the empty context
                where = close[forgotten][..., 1:]
                records += binned_records(errors, where, CLOSENESS_EDGES, seeds, **_labels(forgotten, name, **labels))
    report(len(to_show), len(to_show) + 1)
    tuning = held_out.batch(forgotten, "tuning")
    for case in to_show:
        if case.name in ("identity", world.dial):
            view = case.view(held_out, tuning)
            for name, network in networks.items():
                answers = held_out.world.judged(view.predictions(network), tuning.prompts)
                errors = score.loss(answers, held_out.truth(tuning))
                records += position_records(
                    errors, seeds, **_labels(forgotten, name, "tuning", case.name, case.strength)
                )
    for family in batches:
        floor = score.loss(truth[family], truth[family])
        records += position_records(floor, seeds, **_labels(family, "oracle"))
    for name, network in networks.items():
        for family in batches:
            errors = held_out.shrunk_errors(network, family)
            records += position_records(errors, seeds, **_labels(family, name, conjugation="shrink_only"))
    report(len(to_show) + 1, len(to_show) + 1)
    return [COLUMNS | record for record in records]


LABELS = ("seed", "quantity", "split", "family", "predictor", "conjugation", "strength", "position", "range", "bin")
COLUMNS: Record = dict.fromkeys((*LABELS, "n", "mean", "stderr"))


def _labels(
    family: str, predictor: str, split: str = "report", conjugation: str = "identity", strength: float | None = None
) -> Record:
    return {
        "quantity": "loss",
        "split": split,
        "family": family,
        "predictor": predictor,
        "conjugation": conjugation,
        "strength": strength,
    }


def exact_tasks(config: Config) -> dict[str, Callable[[Any], Tasks]]:
    """The prior (seed -> tasks) of each exact predictor: pretraining's, fine-tuning's, and either family alone."""
    world = described(config.world)
    weights = {stage: log_weights(getattr(config, stage).discrete_prob) for stage in ("pretrain", "finetune")}
    return {
        "bayes_pretraining": lambda seed: prior(config, seed, weights["pretrain"]),
        "bayes_finetuning": lambda seed: stage_tasks(config, config.finetune, seed, weights["finetune"]),
        **{world.exact[name]: partial(family_tasks, config, name=name) for name in (world.forgotten, world.preferred)},
    }
