"""Accounts of a fine-tuning, fitted on one split of the held-out prompts and judged on the other, by range."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference.bayes.accounts import GATES, Account, fitted, pull
from implicit_inference.bayes.attribution import ACCOUNTS, CONSTANT_PULL, shapley
from implicit_inference.measure.beliefs import Answers, Beliefs
from implicit_inference.measure.formulas import RANGES, Values
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.measure.lookup import UNCHANGED
from implicit_inference.measure.records import averaged_records, seed_records
from implicit_inference.runs.store import Record
from implicit_inference.worlds import Predictor


class Accounts:
    """Fits every account to a network before and after, on the `tuning` prompts of both families."""

    def __init__(self, held_out: HeldOut, beliefs: Beliefs, before: Predictor, after: Predictor):
        self._held_out, self._beliefs = held_out, beliefs
        self._ranges = {where: held_out.range(where) for where in RANGES}
        self._score = held_out.world.score
        predicted = (held_out.packed.predict(network, beliefs.of_families) for network in (before, after))
        self._numbers = held_out.packed.program(self._fit)(held_out.packed.seeds, beliefs.of_families, *predicted)

    def _fit(self, seed: Array, prompts: Any, before: Array, after: Array) -> dict[str, Array]:
        """account -> its numbers by range, before and after [ranges, 2, P]; of the constant pull, c [K]."""
        exact, length = self._beliefs.exact(seed, prompts), before.shape[1]
        places = [[float(at.start <= k < at.stop) for k in range(length)] for at in self._ranges.values()]
        inside = jnp.array(places, before.dtype)
        weights = inside / jnp.sum(inside, axis=1, keepdims=True)
        networks, divergence = jnp.stack([before, after]), self._score.divergence

        def under_prior(account: Account, network: Array, weights: Array) -> Array:
            return fitted(account, network, *exact, weights, divergence)

        def under_priors(account: Account) -> Array:
            """[ranges, 2, P]"""
            return jax.lax.map(
                lambda w: jax.lax.map(lambda network: under_prior(account, network, w), networks), weights
            )

        return {CONSTANT_PULL: pull(before, after, *exact[:2])} | {name: under_priors(of) for name, of in GATES.items()}

    def number_records(self, before: str, after: str, **labels: Any) -> list[Record]:
        """The fitted numbers, seed by seed: quantity `ACCOUNT_NUMBER`, by predictor and range."""
        records = []
        for place, where in enumerate(self._ranges):
            for name, names in ACCOUNTS.items():
                for i, predictor in enumerate((before, after)):
                    for j, number in enumerate(names):
                        values = np.asarray(self._numbers[name][:, place, i, j], np.float64)
                        named = {"quantity": f"{name}_{number}", "predictor": predictor, "range": where}
                        records += seed_records(values, self._held_out.config.seeds, **labels, **named)
        return records

    def predictions(self, answers: Answers, where: str) -> dict[str, Values]:
        """Predicts by each account the network after, at a range of positions: [S, N, positions, *event]."""
        here, place = answers.at(self._ranges[where]), list(self._ranges).index(where)
        changes = {UNCHANGED: np.zeros_like(here.log_ratio)}
        c = np.asarray(self._numbers[CONSTANT_PULL], np.float64)[:, None, self._ranges[where]]
        changes[CONSTANT_PULL] = np.broadcast_to(c, here.log_ratio.shape)
        for name in GATES:
            before, after = (self._gate(name, self._numbers[name][:, place, i], here.log_ratio) for i in (0, 1))
            changes[name] = after - before
        events = tuple(range(3, here.before.ndim))
        return {
            name: self._score.mean(here.before + np.expand_dims(change, events) * here.direction)
            for name, change in changes.items()
        }

    def _gate(self, name: str, numbers: Array, log_ratio: Values) -> Values:
        """[S, N, positions] of numbers [S, P]."""
        gates = [GATES[name].gate(n, jnp.asarray(ratio)) for n, ratio in zip(numbers, log_ratio, strict=True)]
        return np.asarray(jnp.stack(gates), np.float64)

    def records(self, answers: Answers, **labels: Any) -> list[Record]:
        """Loss of each account, and how far the network after is from it (`account_residual`), by range."""
        records, seeds = list[Record](), self._held_out.config.seeds
        for where, at in self._ranges.items():
            here = answers.at(at)
            for name, predicted in self.predictions(answers, where).items():
                named = labels | {"predictor": name, "range": where}
                loss, residual = self._score.loss(predicted, here.truth), self._score.divergence(here.after, predicted)
                records += averaged_records(loss, seeds, **named, quantity="account_loss")
                records += averaged_records(residual, seeds, **named, quantity="account_residual")
        return records

    def shapley_records(self, answers: Answers, **labels: Any) -> list[Record]:
        """Splits the distance that the account of prior and weight adds, between odds and weight, by range."""
        records = []
        for place, (where, at) in enumerate(self._ranges.items()):
            here, numbers = answers.at(at), self._numbers["prior_and_weight"][:, place]

            def distance(odds: Array, weight: Array, here: Answers = here) -> Values:
                gate = self._gate("prior_and_weight", jnp.stack([odds, weight], axis=1), here.log_ratio)
                gate = np.expand_dims(gate, tuple(range(3, here.before.ndim)))
                mixture = here.forgotten + gate * here.direction
                mean: Values = self._score.divergence(here.forgotten, mixture).mean(axis=(1, 2))
                return mean

            (a, b), (x, y) = ((numbers[:, i, 0], numbers[:, i, 1]) for i in (0, 1))
            for name, values in zip(("odds", "weight"), shapley(distance, (a, b), (x, y)), strict=True):
                records += seed_records(
                    values, self._held_out.config.seeds, **labels, quantity=f"shapley_{name}", range=where
                )
        return records
