"""Beliefs of networks, read off their predictions: effective priors, effective gates, the closeness of prompts."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference.bayes.effective import EffectivePrior, fitted_prior, shifted_weights
from implicit_inference.measure.formulas import Values, effective_gate
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.measure.records import gate_records
from implicit_inference.runs.store import Record
from implicit_inference.worlds import Description, Predictor, Prompts

Predicted = Mapping[tuple[str, str], Values]
"""(family of prompts, predictor) -> predictions [S, prompts, K] under one conjugation."""


class Beliefs:
    """Reads beliefs off predictors, on held-out prompts; each program is compiled once."""

    def __init__(self, held_out: HeldOut):
        self._held_out, self._packed = held_out, held_out.packed
        program = self._packed.program
        self._fit, self._mix, self._ratio = (program(f) for f in (self._fit_one, self._mix_one, self._ratio_one))

    def prior(self, predictor: Predictor) -> EffectivePrior:
        """The effective prior of each seed, [S] each, fitted on the prompts of both families to choose on."""
        predictions = self._packed.predict(predictor, self._prompts)
        found = self._fit(self._packed.seeds, self._prompts, predictions)
        return EffectivePrior(*(np.asarray(part, np.float64) for part in found))

    def ideal(self, logits: Values) -> Predictor:
        """Exact Bayes with prior log odds `logits` [S] of the preferred family, packed over seeds."""
        return self._mix(self._packed.seeds, jnp.asarray(logits, jnp.float32))

    def closeness(self, prompts: Prompts) -> Values:
        """The exact log evidence ratio of the past, preferred against forgotten, [S, prompts, K]."""
        return np.asarray(self._ratio(self._packed.seeds, prompts), np.float64)

    @cached_property
    def _prompts(self) -> Prompts:
        """[S, 2N, K]"""
        join = self._packed.program(lambda *parts: jax.tree.map(lambda *xs: jnp.concatenate(xs), *parts))
        return join(*(self._held_out.batch(family, "tuning").prompts for family in self._held_out.described.families))

    def _fit_one(self, seed: Array, prompts: Prompts, predictions: Array) -> EffectivePrior:
        world = self._held_out.world
        preferred, forgotten = world.families(seed).values()
        exact = [world.exact(tasks)(prompts) for tasks in (preferred, forgotten)]
        log_odds = world.log_odds(preferred, forgotten, prompts)
        return fitted_prior(predictions, *exact, log_odds, world.score.divergence)

    def _mix_one(self, seed: Array, logit: Array) -> Predictor:
        world = self._held_out.world
        return world.exact(world.mixture(tuple(world.families(seed).values()), shifted_weights(logit)))

    def _ratio_one(self, seed: Array, prompts: Prompts) -> Array:
        preferred, forgotten = self._held_out.world.families(seed).values()
        return self._held_out.world.log_odds(preferred, forgotten, prompts)


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
    records = []
    for name in names:
        values = joined(name)
        for s, seed in enumerate(seeds):
            gate = effective_gate(values[s], first[s], second[s], where[s])
            records += gate_records(gate, seed, **labels, quantity="gate", family="both", predictor=name)
    return records
