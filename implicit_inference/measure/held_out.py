"""Held-out prompts, the ways to show them, their answers by predictors packed over seeds, and how far off those are."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, Protocol

import numpy as np
from jax import Array

from implicit_inference.keys import Stream
from implicit_inference.measure.formulas import Estimate, Values, positions
from implicit_inference.measure.records import estimate_record, seed_records
from implicit_inference.runs.store import Record
from implicit_inference.training.loop import Trained
from implicit_inference.worlds import Predictor, Prompts, Tasks, described

STREAMS = {"report": Stream.REPORT, "tuning": Stream.TUNING}
"""split of the held-out prompts -> its random stream"""

TasksOf = Callable[[Array], Tasks]
"""seed -> a task distribution"""


class HeldOut:
    """The held-out prompts of a configuration, who can answer them, and how far off the answers are."""

    def __init__(self, trained: Trained):
        self.trained, self.config, self.packed = trained, trained.config, trained.programs.packed
        self.world, self.described = trained.programs.world, described(trained.config.world)
        self.batch = cache(self._batch)
        self._ratio, self._evidence = (self.packed.program(f) for f in (self._ratio_one, self._evidence_one))

    def _batch(self, family: str, split: str = "report") -> Any:
        """Held-out prompts of a family: `report` to report on, `tuning` to choose strengths and fit priors on."""
        return self.trained.programs.held_out(STREAMS[split], family, self.config.probe.prompts)

    def exact(self, tasks: TasksOf) -> Predictor:
        """Exact Bayes under a prior."""
        return self.packed.by_seed(lambda seed: self.world.exact(tasks(seed)))

    @cached_property
    def preferred(self) -> Predictor:
        """Exact Bayes for the family that fine-tuning prefers."""
        return self.exact(lambda seed: self.world.families(seed)[self.described.preferred])

    @cached_property
    def forgotten(self) -> Predictor:
        """Exact Bayes for the family on which forgetting is measured."""
        return self.exact(lambda seed: self.world.families(seed)[self.described.forgotten])

    def closeness(self, prompts: Prompts) -> Values:
        """The exact log evidence ratio of the past, preferred against forgotten, [S, prompts, K]."""
        return np.asarray(self._ratio(self.packed.seeds, prompts), np.float64)

    def evidence(self, prompts: Prompts) -> Values:
        """The exact log evidence of the past under the preferred family, [S, prompts, K]."""
        return np.asarray(self._evidence(self.packed.seeds, prompts), np.float64)

    def _ratio_one(self, seed: Array, prompts: Prompts) -> Array:
        preferred, forgotten = self.world.families(seed).values()
        return self.world.log_odds(preferred, forgotten, prompts)

    def _evidence_one(self, seed: Array, prompts: Prompts) -> Array:
        return self.world.evidence(self.world.families(seed)[self.described.preferred], prompts)[..., :-1]

    def predictions(self, predictor: Predictor, batch: Any, conjugation: Any = None) -> Values:
        """[S, prompts, K, *event]; the conjugation is packed over seeds."""
        return np.asarray(self.packed.predict(predictor, batch.prompts, conjugation), np.float64)

    def truth(self, batch: Any) -> Values:
        """[S, prompts, K, *event]"""
        return np.asarray(self.world.truth(batch), np.float64)

    def answers(self, predictor: Predictor, batch: Any, conjugation: Any = None) -> Values:
        """Predictions [S, prompts, K, *event], as they are judged."""
        return self.world.judged(self.predictions(predictor, batch, conjugation), batch.prompts)

    def errors(self, predictor: Predictor, batch: Any, conjugation: Any = None) -> Values:
        """Losses of the answers against the truth [S, prompts, K]."""
        return self.world.score.loss(self.answers(predictor, batch, conjugation), self.truth(batch))

    def shrunk_errors(self, predictor: Predictor, family: str) -> Values:
        """Losses [S, prompts, K] of the best map of the answers that leaves the prompt alone.

        It is fitted to the truth of the `tuning` prompts: this favours the control over any one strength.
        """
        chosen, batch = self.batch(family, "tuning"), self.batch(family)
        shrink = self.world.score.shrink(self.answers(predictor, chosen), self.truth(chosen))
        return self.world.score.loss(shrink(self.answers(predictor, batch)), self.truth(batch))

    def loss(self, predictor: Predictor, family: str, conjugation: Any = None, split: str = "report") -> Values:
        """The mean of the errors over prompts [S, K]."""
        return self.errors(predictor, self.batch(family, split), conjugation).mean(axis=1)

    def averaged(self, values: Values, where: str) -> Values:
        """[S]: the mean over a range of positions (early, late or all) of values [S, K]."""
        return values[:, self.range(where)].mean(axis=1)

    def range(self, where: str) -> slice:
        """The positions of early, late or all."""
        return positions(where, self.described.early(self.config), self.config.prompts.length)

    def records(self, values: Values, **labels: Any) -> list[Record]:
        """A row for each seed of values [S]."""
        return seed_records(values, self.config.seeds, **labels, n=self.config.probe.prompts)

    def estimate(self, estimate: Estimate | None, **labels: Any) -> Record:
        """One row for all seeds, for what is no mean over seeds, such as a ratio; empty where it is undefined."""
        return estimate_record(estimate, self.config.seeds, **labels, n=self.config.probe.prompts)


class View(Protocol):
    """One batch of prompts, shown in one way."""

    def predictions(self, predictor: Predictor) -> Values:
        """Predictions [S, N, K, *event] for the prompts as shown, undone."""

    def log_ratio(self) -> Values:
        """The log evidence ratio [S, N, K] of the pasts as shown."""


@dataclass(frozen=True)
class Under:
    """Prompts under one conjugation, packed over seeds; None leaves them as they are."""

    held_out: HeldOut
    batch: Any
    conjugation: Any

    def predictions(self, predictor: Predictor) -> Values:
        return self.held_out.predictions(predictor, self.batch, self.conjugation)

    def log_ratio(self) -> Values:
        return self.held_out.closeness(self._prompts())

    def evidence(self) -> Values:
        """The log evidence [S, N, K] of the pasts as shown, under the preferred family."""
        return self.held_out.evidence(self._prompts())

    def _prompts(self) -> Any:
        if self.conjugation is None:
            return self.batch.prompts
        return self.held_out.packed.conjugated(self.conjugation, self.batch.prompts)


class Chosen:
    """Prompts, each past of which is shown by the conjugation under which the preferred family is least likely to it.

    The choice sees the pairs before a position alone, so what is conjugated like this is a predictor, too.
    """

    def __init__(self, members: list[Under]):
        self._members = members
        self._choice = np.argmin([member.evidence() for member in members], axis=0)

    def predictions(self, predictor: Predictor) -> Values:
        return self._pick([member.predictions(predictor) for member in self._members])

    def log_ratio(self) -> Values:
        return self._pick([member.log_ratio() for member in self._members])

    def _pick(self, values: list[Values]) -> Values:
        stacked = np.stack(values)
        choice = np.expand_dims(self._choice, tuple(range(self._choice.ndim, stacked.ndim - 1)))
        return np.take_along_axis(stacked, choice[None], axis=0)[0]


@dataclass(frozen=True)
class Case:
    """A way to show prompts, as tables name it."""

    name: str
    strength: float | None
    conjugations: tuple[Any, ...]
    """Packed over seeds; several are a choice"""

    def view(self, held_out: HeldOut, batch: Any) -> View:
        """A batch of held-out prompts, shown like this."""
        members = [Under(held_out, batch, conjugation) for conjugation in self.conjugations]
        return members[0] if len(members) == 1 else Chosen(members)


CHOICE = "choice"


def cases(held_out: HeldOut) -> list[Case]:
    """The identity first, then every conjugation of the world at every strength, then the choice, if it has any."""
    found, world, by_seed = [Case("identity", None, (None,))], held_out.world, held_out.packed.by_seed
    for name, move in held_out.described.moves.items():
        for strength in getattr(held_out.config.probe, move.field) if move.field else (None,):
            conjugation = by_seed(partial(world.conjugation, move=name, strength=strength))
            found.append(Case(name, strength, (conjugation,)))
    if choices := by_seed(world.choices):
        found.append(Case(CHOICE, None, choices))
    return found
