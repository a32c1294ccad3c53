"""Beliefs of networks, read off their predictions: effective priors, effective gates, the closeness of prompts."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference.bayes.attribution import GATE_EDGES, Attribution
from implicit_inference.bayes.effective import EffectivePrior, fitted_prior, shifted_weights
from implicit_inference.bayes.projection import attributed
from implicit_inference.measure.formulas import RANGES, Values, effective_gate
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.measure.records import gate_records
from implicit_inference.runs.store import Record
from implicit_inference.worlds import Description, Predictor, Prompts

Predicted = Mapping[tuple[str, str], Values]
"""(family of prompts, predictor) -> predictions [S, prompts, K] under one conjugation."""


class Answers(NamedTuple):
    """Predictions for one batch of prompts [S, N, K, *event], undone, and the log evidence ratio as shown [S, N, K]."""

    before: Values
    after: Values
    preferred: Values
    forgotten: Values
    log_ratio: Values
    truth: Values

    def at(self, where: slice) -> "Answers":
        """The answers at a range of positions."""
        return Answers(*(part[:, :, where] for part in self))

    @property
    def direction(self) -> Values:
        """From the exact predictions of the forgotten family to those of the preferred one."""
        return self.preferred - self.forgotten


class Beliefs:
    """Reads beliefs off predictors, on held-out prompts; each program is compiled once."""

    def __init__(self, held_out: HeldOut):
        self.held_out, self._packed = held_out, held_out.packed
        program = self._packed.program
        self._fit, self._fit_by_position = program(self._fit_one), program(self._fit_positions)
        self._mix = program(self._mix_one)

    def prior(self, predictor: Predictor) -> EffectivePrior:
        """The effective prior of each seed, [S] each, fitted on the prompts of both families to choose on."""
        predictions = self._packed.predict(predictor, self.of_families)
        found = self._fit(self._packed.seeds, self.of_families, predictions)
        return EffectivePrior(*(np.asarray(part, np.float64) for part in found))

    def odds_by_position(self, predictor: Predictor) -> Values:
        """The log odds [S, K] of the effective prior at each position by itself; flat for an ideal learner."""
        predictions = self._packed.predict(predictor, self.of_families)
        return np.asarray(self._fit_by_position(self._packed.seeds, self.of_families, predictions), np.float64)

    def ideal(self, logits: Values) -> Predictor:
        """Exact Bayes with prior log odds `logits` [S] of the preferred family, packed over seeds."""
        return self._mix(self._packed.seeds, jnp.asarray(logits, jnp.float32))

    @cached_property
    def of_families(self) -> Prompts:
        """The `tuning` prompts of both families, [S, 2N, K]."""
        join = self._packed.program(lambda *parts: jax.tree.map(lambda *xs: jnp.concatenate(xs), *parts))
        return join(*(self.held_out.batch(family, "tuning").prompts for family in self.held_out.described.families))

    def _fit_one(self, seed: Array, prompts: Prompts, predictions: Array) -> EffectivePrior:
        return fitted_prior(predictions, *self.exact(seed, prompts), self.held_out.world.score.divergence)

    def _fit_positions(self, seed: Array, prompts: Prompts, predictions: Array) -> Array:
        """[K]"""
        divergence = self.held_out.world.score.divergence
        by_position = [jnp.moveaxis(x, 1, 0)[:, :, None] for x in (predictions, *self.exact(seed, prompts))]
        return jax.lax.map(lambda numbers: fitted_prior(*numbers, divergence).logit, by_position)

    def exact(self, seed: Array, prompts: Prompts) -> tuple[Array, Array, Array]:
        """A seed's exact predictions under either family, the preferred one first, and the log evidence ratio."""
        world = self.held_out.world
        preferred, forgotten = world.families(seed).values()
        first, second = (world.exact(tasks)(prompts) for tasks in (preferred, forgotten))
        return first, second, world.log_odds(preferred, forgotten, prompts)

    def _mix_one(self, seed: Array, logit: Array) -> Predictor:
        world = self.held_out.world
        return world.exact(world.mixture(tuple(world.families(seed).values()), shifted_weights(logit)))


def prior_records(prior: EffectivePrior, seeds: tuple[int, ...], **labels: Any) -> list[Record]:
    """prior_logit, prior_residual and prior_bound of each seed; log odds stay by seed, they need not have a mean."""
    return [
        labels | {"seed": seed, "quantity": f"prior_{quantity}", "mean": float(value)}
        for quantity, values in prior._asdict().items()
        for seed, value in zip(seeds, values, strict=True)
    ]


def gates(
    predicted: Predicted,
    closeness: Mapping[str, Values],
    world: Description,
    names: Sequence[str],
    seeds: tuple[int, ...],
    **labels: Any,
) -> list[Record]:
    """Effective gates under one conjugation, by bins of the closeness of the prompts as they were, both families.

    The exact predictions that they are measured against are conjugated too, so an ideal learner's gate is its posterior
    for the prompt as shown. All positions but the empty context; event axes are further predictions.
    """

    def joined(name: str) -> Values:
        return np.concatenate([predicted[family, name] for family in world.families], axis=1)[:, :, 1:]

    first, second = (joined(world.exact[family]) for family in world.families)
    where = np.concatenate([closeness[family] for family in world.families], axis=1)[:, :, 1:]
    where = np.broadcast_to(np.expand_dims(where, tuple(range(3, first.ndim))), first.shape)
    records = list[Record]()
    for name in names:
        values = joined(name)
        for s, seed in enumerate(seeds):
            gate = effective_gate(values[s], first[s], second[s], where[s])
            records += gate_records(gate, seed, **labels, quantity="gate", family="both", predictor=name)
    return records


def range_gates(answers: Answers, names: tuple[str, str], held_out: HeldOut, **labels: Any) -> list[Record]:
    """Effective gates of the networks before and after, on one family's prompts, by range of positions.

    As in `gates`, the exact predictions are shown the conjugated prompts, too: shrinking predictions closes no gate.
    """
    records = []
    for where in RANGES:
        here = answers.at(held_out.range(where))
        for name, predictions in zip(names, (here.before, here.after), strict=True):
            for s, seed in enumerate(held_out.config.seeds):
                exact = here.preferred[s], here.forgotten[s]
                gate = effective_gate(predictions[s], *exact, np.zeros_like(predictions[s]), edges=())
                records += gate_records(gate, seed, **labels, quantity="range_gate", predictor=name, range=where)
    return [record | {"bin": None} for record in records]


def attribution(held_out: HeldOut, predictions: Values, answers: Answers) -> Attribution:
    """Parts the distance of predictions [S, N, K, *event] from the forgotten family's exact ones; both are [S, K]."""
    bins = np.digitize(answers.log_ratio, GATE_EDGES)
    seeds = zip(predictions, answers.preferred, answers.forgotten, bins, strict=True)
    divergence = held_out.world.score.divergence
    parts = [attributed(*map(jnp.asarray, numbers), len(GATE_EDGES) + 1, divergence) for numbers in seeds]
    return Attribution(*(np.asarray(part, np.float64) for part in map(jnp.stack, zip(*parts, strict=True))))
