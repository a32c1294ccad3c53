"""A probe's table, looked up: values by seed and position, ranges of positions, the strength that was chosen."""

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from implicit_inference.bayes.attribution import Attribution
from implicit_inference.config.fields import Config
from implicit_inference.config.identity import parents_of
from implicit_inference.config.stages import STAGES
from implicit_inference.measure.formulas import (
    Estimate,
    Values,
    net_recovery,
    over_seeds,
    positions,
    recovered_fraction,
)
from implicit_inference.runs.store import Record
from implicit_inference.worlds import described

Case = tuple[str, float | None]
"""(conjugation, strength)"""
IDENTITY: Case = ("identity", None)
SHRUNK: Case = ("shrink_only", None)

STAGE_NAMES = {stage: plan.network for stage, plan in STAGES.items() if plan.network}
"""stage -> the name of its network in tables"""

UNTRAINED = ("damaged_norm", "damaged_rise", "uninformed")
"""Controls that need no training: random damage of the pretrained network, an answer that has learned nothing"""

UNCHANGED = "unchanged"
"""The account by which fine-tuning did nothing: the network before."""

Curves = dict[tuple[str, str], tuple[list[int], Values]]
"""(family, predictor) -> (steps, losses [seeds, steps])"""
UNDEFINED = "the forgetting is not significantly positive over the seeds (two or more)"


class Table:
    """The table of a probe, as a data frame and as arrays [seeds, positions] of means over prompts."""

    def __init__(self, records: Sequence[Record], config: Config):
        self.frame, self.config, self.world = pd.DataFrame(records), config, described(config.world)
        self.seeds, self.length = config.seeds, config.prompts.length
        if unknown := set(self.frame["seed"]) - set(self.seeds):
            raise ValueError(f"seeds {sorted(map(str, unknown))} are none of the configuration's")
        before, self.after, scratch = (STAGE_NAMES[stage] for stage in parents_of("probe", config))
        self.before, self.networks = before, (before, self.after, scratch)
        self.controls = (scratch, *UNTRAINED)

    @cached_property
    def _curves(self) -> dict[tuple[Any, ...], Values]:
        """(quantity, split, family, predictor, conjugation, strength) -> [seeds, positions]; ValueError for doubles."""
        labels = ["quantity", "split", "family", "predictor", "conjugation", "strength"]
        found = {}
        for key, part in self.frame.dropna(subset="position").groupby(labels, dropna=False, sort=False):
            square = part.pivot(index="seed", columns="position", values="mean")
            plain = tuple(None if pd.isna(label) else label for label in key)
            found[plain] = square.reindex(index=self.seeds, columns=range(self.length)).to_numpy(np.float64)
        return found

    def curve(
        self,
        predictor: str | None,
        family: str | None = None,
        case: Case = IDENTITY,
        split: str = "report",
        quantity: str = "loss",
    ) -> Values:
        """A quantity by seed and position [S, K]; of the forgotten family unless another is named.

        Raises KeyError for what was not measured.
        """
        return self._curves[quantity, split, family or self.world.forgotten, predictor, *case]

    def values(self, **labels: Any) -> Values:
        """The means [S] of the rows with these labels, seed by seed; raises KeyError unless there is one a seed."""
        frame = self.frame
        for name, label in labels.items():
            frame = frame[frame[name] == label]
        if sorted(frame["seed"]) != sorted(self.seeds):
            raise KeyError(f"{labels} match {len(frame)} rows of {len(self.seeds)} seeds")
        return frame.set_index("seed")["mean"].reindex(self.seeds).to_numpy(np.float64)

    def predictors(self) -> list[str]:
        """Names those evaluated as they are, in the order of the table."""
        return list(dict.fromkeys(k[3] for k in self._curves if k[:2] == ("loss", "report") and k[4:] == IDENTITY))

    def cases(self) -> list[Case]:
        """The conjugations of the forgotten family's prompts, the identity first, in the order of the table."""
        found = [k[4:] for k in self._curves if k[:4] == ("loss", "report", self.world.forgotten, self.after)]
        return [case for case in found if case != SHRUNK]

    def on_dial(self, strength: float) -> Case:
        """The dial's conjugation at a strength; at 1, nothing moves."""
        return IDENTITY if strength == 1 else (self.world.dial, strength)

    def strengths(self) -> list[float]:
        """The strengths of the dial, ascending, 1 among them."""
        return sorted({1.0, *(case[1] for case in self.cases() if case[0] == self.world.dial and case[1] is not None)})

    def range(self, where: str) -> slice:
        """The positions of early, late or all."""
        return positions(where, self.world.early(self.config), self.length)

    def averaged(self, values: Values, where: str) -> Values:
        """The average [S] of values [S, K] over a range of positions: early, late or all."""
        return values[:, self.range(where)].mean(axis=1)

    def chosen(self, where: str, predictor: str | None = None) -> float:
        """The strength of the dial with the least loss of a network over the range, on the prompts to tune on."""

        def loss(strength: float) -> float:
            curve = self.curve(predictor or self.after, case=self.on_dial(strength), split="tuning")
            return float(self.averaged(curve, where).mean())

        return min(self.strengths(), key=lambda strength: (loss(strength), strength != 1))

    def recovered(self, where: str, conjugated: Values) -> Estimate | None:
        """The recovered fraction over a range of positions, from losses [S, K] on the forgotten family."""
        return recovered_fraction(*(self.averaged(x, where) for x in (*self.forgetting_of(self.networks), conjugated)))

    def predicted(self, where: str, strength: float) -> Estimate | None:
        """The recovered fraction of an ideal learner whose prior odds shift as the networks' effective ones do.

        Its own recovery over its own forgetting, which may be smaller than the network's: see `inference_shift`.
        """
        ideals = [f"bayes_effective_{name}" for name in (self.before, self.after)]
        conjugated = self.curve(ideals[1], case=self.on_dial(strength))
        return recovered_fraction(*(self.averaged(x, where) for x in (*self.forgetting_of(ideals), conjugated)))

    def forgetting_of(self, names: Iterable[str]) -> list[Values]:
        """The losses [S, K] of the first two, before and after, on the forgotten family."""
        return [self.curve(name) for name in list(names)[:2]]

    def attribution_by_position(self, name: str | None = None) -> Attribution:
        """The rise on the line and off it [S, K], from the network before to the one after, or to another one."""
        return Attribution(
            *(
                self.curve(name or self.after, quantity=part) - self.curve(self.before, quantity=part)
                for part in Attribution._fields
            )
        )

    def attribution(self, where: str, name: str | None = None) -> Attribution:
        """Averages those rises [S] over a range of positions."""
        return Attribution(*(self.averaged(part, where) for part in self.attribution_by_position(name)))

    def net(self, where: str, case: Case, name: str | None = None) -> Estimate | None:
        """The net recovery under a conjugation over a range of positions, of the network after or of another one."""
        networks = (self.before, name or self.after)
        curves = (self.curve(network, case=of) for of in (IDENTITY, case) for network in networks)
        return net_recovery(*(self.averaged(curve, where) for curve in curves))

    @cached_property
    def _by_range(self) -> dict[tuple[Any, ...], Values]:
        """(quantity, predictor, conjugation, strength, range) -> [S]"""
        labels = ["quantity", "predictor", "conjugation", "strength", "range"]
        found = {}
        for key, part in self.frame.dropna(subset="range").groupby(labels, dropna=False, sort=False):
            plain = tuple(None if pd.isna(label) else label for label in key)
            found[plain] = part.set_index("seed")["mean"].reindex(self.seeds).to_numpy(np.float64)
        return found

    def ranged(self, quantity: str, predictor: str | None, where: str, case: Case | None = IDENTITY) -> Values:
        """A quantity that has one value a seed [S] for a range of positions; case None: it belongs to no conjugation.

        Raises KeyError for what was not measured.
        """
        return self._by_range[quantity, predictor, *(case or (None, None)), where]

    def rise(self, account: str, where: str, case: Case = IDENTITY) -> Values:
        """The rise [S] of the loss from the network before that an account of the fine-tuning says."""
        before, after = (self.ranged("account_loss", name, where, case) for name in (UNCHANGED, account))
        return after - before


def while_training(records: list[Record], families: tuple[str, ...]) -> Curves:
    """Looks up the losses of a stage in its course on two families, by family and predictor.

    Raises ValueError unless every seed has every step, and both the network and exact Bayes every family.
    """
    frame = pd.DataFrame(records)
    found = {}
    for (family, predictor), part in frame.groupby(["family", "predictor"], sort=False):
        if family in families:
            square = part.pivot(index="seed", columns="step", values="mean")
            if square.isna().to_numpy().any():
                raise ValueError(f"{family}, {predictor}: a seed lacks a step")
            found[family, predictor] = [int(step) for step in square.columns], square.to_numpy(np.float64)
    if {predictor for _, predictor in found} != {"network", "bayes"} or len(found) != 4:
        raise ValueError(f"losses of {sorted(found)}, not of the network and of exact Bayes on two families")
    return found


def estimated(values: Values) -> dict[str, Any]:
    """The mean and standard error over seeds [S], as JSON has them."""
    return as_json(over_seeds(values))


def prior_odds(logits: Values, bounds: Values) -> dict[str, Any]:
    """The mean, standard error, median and range of log odds [S], of which some may have no limit (`bounds` not 0)."""
    numbers = {"median": np.median(logits), "lowest": np.min(logits), "highest": np.max(logits)}
    counts = {"unlimited": int(np.count_nonzero(bounds)), "seeds": len(logits)}
    return estimated(logits) | {name: float(value) for name, value in numbers.items()} | counts


def as_json(estimate: Estimate) -> dict[str, Any]:
    """An estimate as JSON has it."""
    return {"mean": estimate.mean, "stderr": estimate.stderr}


def fraction(estimate: Estimate | None) -> dict[str, Any]:
    """A fraction of the forgetting as JSON has it; it may be undefined."""
    return {"mean": None, "stderr": None, "undefined": UNDEFINED} if estimate is None else as_json(estimate)


def finite(value: Any) -> Any:
    """Puts null for numbers that are not finite: JSON has none."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
