"""A probe's measurement as rows of an experiment: a value a seed, so that differences can be paired."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference.bayes.accounts import GATES, fitted
from implicit_inference.bayes.attribution import ACCOUNTS, CONSTANT_PULL
from implicit_inference.measure.attribution import ACCOUNT_NAMES
from implicit_inference.measure.beliefs import Beliefs
from implicit_inference.measure.formulas import Estimate, Values, jackknife, net_recovery
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.measure.lookup import IDENTITY, SHRUNK, UNCHANGED, Case, Table
from implicit_inference.measure.probe import measure
from implicit_inference.measure.records import seed_records
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text, listed
from implicit_inference.study.measurements import RANGES, conjugations
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

MEASURED = "finetuned"
BEFORE_AFTER = ("pretrained", MEASURED)
ODDS_ALONE = "odds_alone"
UNDEFINED = Estimate(float("nan"), float("nan"))


def probed(trained: Trained) -> list[Record]:
    """Measures the network of the stage that is probed, named `finetuned` whatever the stage, and all its controls.

    By range of positions: forgetting, gain; excess_FAMILY of the pretrained network; rise: the loss of a predictor, a
    control or an account of the fine-tuning above that of the pretrained network, both under one conjugation; gate,
    before and after; on_line and off_line; account_residual; the numbers of the accounts; shapley_odds and
    shapley_weight; moved_odds; by family, change of the loss, and the world's own quantities.
    """
    table = Table(measure(trained, lambda done, of: None), trained.config)
    world, seeds, rows = table.world, table.seeds, list[Record]()
    for where in RANGES:

        def add(values: Values, quantity: str, at: str = where, **labels: Any) -> None:
            own = labels | {"quantity": quantity, "range": at, "n": trained.config.probe.prompts}
            if own.get("predictor") == table.after:
                own["predictor"] = MEASURED
            rows.extend(seed_records(values, seeds, **own))

        def loss(name: str, case: Case = IDENTITY, family: str | None = None, at: str = where) -> Values:
            return table.averaged(table.curve(name, family, case), at)

        shown = world.gain_family(trained.config)
        add(loss(table.after) - loss(table.before), "forgetting")
        add(loss(table.before, family=shown) - loss(table.after, family=shown), "gain")
        for family in world.families:
            add(loss(table.before, family=family) - loss(world.exact[family], family=family), f"excess_{family}")
        for family in trained.config.families:
            add(loss(table.after, family=family) - loss(table.before, family=family), "change", family=family)
            for quantity in trained.programs.world.quantities:
                for case in table.cases():
                    labels: dict[str, Any] = {"conjugation": case[0], "strength": case[1], "family": family}
                    for name in table.networks:
                        values = table.averaged(table.curve(name, family, case, quantity=quantity), where)
                        add(values, quantity, predictor=name, **labels)
        for case in (*table.cases(), SHRUNK):
            labels = {"conjugation": case[0], "strength": case[1]}
            for name in (table.after, *table.controls):
                add(loss(name, case) - loss(table.before, case), "rise", predictor=name, **labels)
            if case == SHRUNK:
                continue
            for name in ACCOUNT_NAMES:
                add(table.rise(name, where, case), "rise", predictor=name, **labels)
            for name in table.networks[:2]:
                add(table.ranged("range_gate", name, where, case), "gate", predictor=name, **labels)
            moved = table.averaged(table.curve(None, case=case, quantity="moved_odds"), where)
            add(moved, "moved_odds", **labels)
        for name in (table.after, table.networks[-1]):
            for part, values in table.attribution(where, name)._asdict().items():
                add(values, part, predictor=name)
        for name in (UNCHANGED, *ACCOUNT_NAMES):
            add(table.ranged("account_residual", name, where), "account_residual", predictor=name)
        for name, numbers in ACCOUNTS.items():
            for number in numbers:
                for network in table.networks[:2]:
                    values = table.ranged(f"{name}_{number}", network, where, None)
                    add(values, f"{name}_{number}", predictor=network)
        for part in ("odds", "weight"):
            add(table.ranged(f"shapley_{part}", None, where), f"shapley_{part}")
    return rows


def odds_by_case(trained: Trained, cases: Iterable[Case]) -> list[Record]:
    """Fits the prior log odds of the networks before and after to prompts as they are, then to them in each case.

    odds: those of the account `prior_shift`, by range, fitted on the `tuning` prompts of both families as shown.
    rise, of the predictor `odds_alone`: the loss of exact Bayes with the odds after, less that with those before, on
    the forgotten family. In a world of languages a case is a language, and each has odds of its own.
    """
    held_out, records = HeldOut(trained), list[Record]()
    beliefs, packed = Beliefs(held_out), held_out.packed
    prompts, forgotten = beliefs.of_families, held_out.described.forgotten
    networks = (trained.network("pretrain"), trained.network(trained.config.probe.stage))
    divergence = held_out.world.score.divergence

    def fit(predictions: Array, first: Array, second: Array, log_ratio: Array, weights: Array) -> Array:
        return fitted(GATES["prior_shift"], predictions, first, second, log_ratio, weights, divergence)[0]

    program = packed.program(fit)
    for case, conjugation in conjugations(held_out, (IDENTITY, *cases)).items():
        shown = prompts if conjugation is None else packed.conjugated(conjugation, prompts)
        log_ratio = jnp.asarray(held_out.closeness(shown), jnp.float32)
        exact = [
            packed.predict(predictor, prompts, conjugation) for predictor in (held_out.preferred, held_out.forgotten)
        ]
        answers = [packed.predict(network, prompts, conjugation) for network in networks]
        for where in RANGES:
            inside = np.zeros(trained.config.prompts.length, np.float32)
            inside[held_out.range(where)] = 1
            weights, losses = packed.repeated(jnp.asarray(inside / inside.sum())), list[Values]()
            labels: Record = {"conjugation": case[0], "strength": case[1], "range": where}
            for name, predictions in zip(BEFORE_AFTER, answers, strict=True):
                odds = np.asarray(program(predictions, *exact, log_ratio, weights), np.float64)
                records += held_out.records(odds, quantity="odds", predictor=name, **labels)
                losses.append(held_out.averaged(held_out.loss(beliefs.ideal(odds), forgotten, conjugation), where))
            records += held_out.records(losses[1] - losses[0], quantity="rise", predictor=ODDS_ALONE, **labels)
    return records


def rises(results: Results, where: str, predictor: str, case: Case) -> tuple[Values, Values]:
    """The rises [S] of a predictor as the prompts are, and under a conjugation."""

    def of(conjugation: str, strength: float | None) -> Values:
        labels = {"conjugation": conjugation, "strength": strength, "range": where, "predictor": predictor}
        return results.values(quantity="rise", **labels)

    return of(*IDENTITY), of(*case)


def net(results: Results, where: str, predictor: str, case: Case) -> Estimate:
    """The net recovery of a predictor under a conjugation; undefined without a rise to recover from."""
    still, moved = rises(results, where, predictor, case)
    zero = np.zeros_like(still)
    return net_recovery(zero, still, zero, moved) or UNDEFINED


def beyond(results: Results, where: str, case: Case, benchmark: str = CONSTANT_PULL) -> Estimate:
    """How far the measured net recovery lies beyond that of a benchmark, seed by seed; undefined where one is."""
    if not all(np.isfinite(net(results, where, name, case).mean) for name in (MEASURED, benchmark)):
        return UNDEFINED

    return further(*rises(results, where, MEASURED, case), *rises(results, where, benchmark, case))


def further(still: Values, moved: Values, still_there: Values, moved_there: Values) -> Estimate:
    """How far one net recovery lies beyond another, from their rises [S] of paired seeds: as they are, and moved."""

    def difference(still: Values, moved: Values, still_there: Values, moved_there: Values) -> float:
        return float(moved_there.mean() / still_there.mean() - moved.mean() / still.mean())

    return jackknife(difference, still, moved, still_there, moved_there)


def gate_closed(results: Results, where: str, case: Case) -> Estimate:
    """The share that a conjugation closes of the gap between the gates before and after."""
    gates = (
        results.values(quantity="gate", range=where, predictor=name, conjugation=of[0], strength=of[1])
        for of in (IDENTITY, case)
        for name in BEFORE_AFTER
    )
    return net_recovery(*gates) or UNDEFINED


def beyond_null(results: Results, name: str, moves: Mapping[str, Case]) -> list[Claim]:
    """Claims of one variant, by range of positions: each of `moves` brings a part back, beyond the constant pull."""
    claims: list[Claim] = []
    predictors = (MEASURED, *ACCOUNT_NAMES, "scratch", "damaged_rise")
    for where in RANGES:
        here = results.where(range=where)
        for move, case in moves.items():
            nets = {of: as_text(net(results, where, of, case)) for of in predictors}
            parts = [as_text(here.estimate(quantity=part, predictor=MEASURED)) for part in ("on_line", "off_line")]
            weights = [as_text(here.estimate(quantity="prior_and_weight_weight", predictor=of)) for of in BEFORE_AFTER]
            numbers = (
                f"net {nets[MEASURED]}; by the null {nets[CONSTANT_PULL]}, by prior odds {nets['prior_shift']}, with "
                f"weight {nets['prior_and_weight']}; scratch {nets['scratch']}, damaged {nets['damaged_rise']}; gap of "
                f"the gates closed {as_text(gate_closed(results, where, case))}; forgetting "
                f"{as_text(here.estimate(quantity='forgetting'))}, on the line {parts[0]}, off it {parts[1]}; weight "
                f"of the evidence {weights[0]} to {weights[1]}"
            )
            claim = f"{name}, {where}: {move} bring a part back, and more than the null"
            effects = [net(results, where, MEASURED, case), beyond(results, where, case)]
            claims.append((claim, effects, numbers))
    return claims


def changes(results: Results, name: str) -> list[Claim]:
    """Describes one variant, by range of positions: how the loss of every family, in either language, has changed."""
    families = {of.replace("_", " "): of for of in results.where(quantity="change").levels("family")}
    return [
        (
            f"{name}, {where}: change of the loss, in English and elsewhere",
            [],
            listed(results, families, by="family", quantity="change", range=where),
        )
        for where in RANGES
    ]


DIFFERENCES = {"tasks.dim": "{:g} inputs", "tasks.n_discrete": "{:g} tasks", "pretrain.discrete_prob": "α = {:g}"}
"""Names for people of what worlds differ in, by field."""


def by_world(results: Results, join: str = ", ") -> list[tuple[str, Results]]:
    """(name, rows) of every world of a table, named by what it differs in."""
    told = {name: text for name, text in DIFFERENCES.items() if name in results.frame}
    return [
        (join.join(told[name].format(labels[name]) for name in told), rows) for labels, rows in results.groups(*told)
    ]
