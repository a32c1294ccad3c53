"""The probe: every predictor, under every conjugation, on the same held-out prompts -> one tidy table."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from implicit_inference.config.fields import Config
from implicit_inference.config.identity import parent_ids, parents_of
from implicit_inference.measure.beliefs import Beliefs, gates, prior_records
from implicit_inference.measure.formulas import CLOSENESS_EDGES
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.measure.lookup import STAGE_NAMES
from implicit_inference.measure.records import binned_records, position_records
from implicit_inference.measure.summary import summarise
from implicit_inference.runs.drafts import owned, tidy
from implicit_inference.runs.environment import environment
from implicit_inference.runs.runtime import pinned
from implicit_inference.runs.store import Record, Run
from implicit_inference.training.batches import family as family_tasks
from implicit_inference.training.batches import log_weights, prior, stage_tasks
from implicit_inference.training.loop import Trained
from implicit_inference.worlds import Tasks, described

Case = tuple[str, float | None, Any]
"""(name, strength, conjugation packed over seeds)"""


def probe(trained: Trained, report: Callable[[int, int], None]) -> Run:
    """Measure the finished stages of a configuration; skip it if that is done.

    Writes table.parquet and result.json. One row of the table: seed, quantity, split (report; tuning: the prompts on
    which strengths are chosen and priors fitted), family of the prompts, predictor, conjugation, strength, position
    (exemplars in context) or bin of closeness, n, mean, stderr (over prompts). Quantities: loss (against the truth);
    distance (the divergence from the forgotten family's exact predictor, on its prompts); prior_logit, prior_residual
    and prior_bound of the effective prior; gate (effective, by bin, prompts of both families); moved_odds (exact).
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
    """All rows of the table."""
    held_out, config, records = HeldOut(trained), trained.config, list[Record]()
    packed, seeds = held_out.packed, config.seeds
    beliefs, world, loss = Beliefs(held_out), held_out.described, held_out.world.score.loss
    networks = {STAGE_NAMES[stage]: trained.network(stage) for stage in parents_of("probe", config)}
    before, after, _ = networks
    ideals = {}
    for name in (before, after):
        prior = beliefs.prior(networks[name])
        ideals[f"bayes_effective_{name}"] = beliefs.ideal(prior.logit)
        records += prior_records(prior, seeds, split="tuning", predictor=name)
    predictors = networks | {name: held_out.exact(tasks) for name, tasks in exact_tasks(config).items()} | ideals
    compared, gated = (before, after, *ideals), (*networks, "bayes_pretraining", *ideals)
    batches = {family: held_out.batch(family) for family in config.families}
    truth = {family: held_out.truth(batch) for family, batch in batches.items()}
    close = {family: beliefs.closeness(batches[family].prompts) for family in world.families}
    cases, forgotten = _cases(held_out), world.forgotten
    for done, (conjugation, strength, mapping) in enumerate(cases):
        report(done, len(cases) + 1)
        labels: Record = {"split": "report", "conjugation": conjugation, "strength": strength}
        predicted = {
            (family, name): held_out.predictions(predictor, batch, mapping)
            for family, batch in batches.items()
            for name, predictor in predictors.items()
        }
        for (family, name), predictions in predicted.items():
            records += position_records(loss(predictions, truth[family]), seeds, **_labels(family, name, **labels))
        records += gates(predicted, close, world, gated, seeds, **labels)
        prompts = batches[forgotten].prompts
        mapped = prompts if mapping is None else packed.conjugated(mapping, prompts)
        away = close[forgotten] - beliefs.closeness(mapped)
        records += position_records(away, seeds, **labels, quantity="moved_odds", family=forgotten)
        if mapping is None:
            exact = predicted[forgotten, world.exact[forgotten]]
            for name in compared:
                distance = held_out.world.score.divergence(exact, predicted[forgotten, name])
                records += position_records(
                    distance, seeds, **_labels(forgotten, name, **labels) | {"quantity": "distance"}
                )
                errors = loss(predicted[forgotten, name], truth[forgotten])[..., 1:]  # all but the empty context
                where = close[forgotten][..., 1:]
                records += binned_records(errors, where, CLOSENESS_EDGES, seeds, **_labels(forgotten, name, **labels))
    report(len(cases), len(cases) + 1)
    for name, network in networks.items():
        for conjugation, strength, mapping in cases:
            if conjugation in ("identity", world.dial):
                labels = _labels(forgotten, name, "tuning", conjugation, strength)
                records += position_records(
                    held_out.errors(network, held_out.batch(forgotten, "tuning"), mapping), seeds, **labels
                )
    for family in batches:
        floor = loss(truth[family], truth[family])
        records += position_records(floor, seeds, **_labels(family, "oracle"))
    for name, network in networks.items():
        for family in batches:
            errors = held_out.shrunk_errors(network, family)
            records += position_records(errors, seeds, **_labels(family, name, conjugation="shrink_only"))
    report(len(cases) + 1, len(cases) + 1)
    return [COLUMNS | record for record in records]


LABELS = ("seed", "quantity", "split", "family", "predictor", "conjugation", "strength", "position", "bin")
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


def _cases(held_out: HeldOut) -> list[Case]:
    """The identity first, then every conjugation of the world at every strength."""
    cases: list[Case] = [("identity", None, None)]
    for name, move in held_out.described.moves.items():
        for strength in getattr(held_out.config.probe, move.field) if move.field else (None,):
            conjugation = partial(held_out.world.conjugation, move=name, strength=strength)
            cases.append((name, strength, held_out.packed.by_seed(conjugation)))
    return cases
