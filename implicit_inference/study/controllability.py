"""Controllability: what a controlled network loses on either family under the wrong control, and what any costs it."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from implicit_inference.measure.beliefs import Beliefs, prior_records
from implicit_inference.measure.formulas import over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.measurements import RANGES, by_range
from implicit_inference.study.results import Results
from implicit_inference.training.batches import log_weights, prior
from implicit_inference.training.loop import Trained
from implicit_inference.worlds import Predictor

Parts = tuple[float, float]
"""The steps of stage 1 and of stage 2, as parts of those of joint training"""
JOINT, HALVES, ALONE, ADDED = (0.0, 1.0), (0.5, 0.5), (1.0, 0.0), (0.5, 1.0)
STAGE_1 = {HALVES: "stage 1 first", ADDED: "stage 1 in addition"}


def against_joint(name: str, of: Mapping[Parts, Results], gains: Mapping[str, str]) -> list[Claim]:
    """Claims that a stage 1 brings more controllability, and less of a loss, than joint training; by range.

    of: the rows by the parts of the steps; gains: what is claimed of a quantity, in words.
    """
    claims: list[Claim] = []
    for (parts, words), where, (quantity, gain) in itertools.product(STAGE_1.items(), RANGES, gains.items()):
        labels: Record = {"quantity": quantity, "range": where, "predictor": "controlled"}
        change = of[parts].values(**labels) - of[JOINT].values(**labels)
        found = over_seeds(change if quantity.startswith("controllability") else -change)
        claims.append((f"{name}, {words}: {gain}, {where}", [found], as_text(found)))
    return claims


def two_stages(steps: int, parts: Parts, rates: tuple[float, float]) -> Record:
    """Gives the fields of stage 1 and of stage 2, which take parts of `steps` steps, at their learning rates."""
    found = dict[str, Any]()
    for stage, part, rate in zip(("tune", "steer"), parts, rates, strict=True):
        n = round(part * steps)
        found |= {f"{stage}.steps": n, f"{stage}.warmup": min(20, n // 4), f"{stage}.learning_rate": rate}
    return found


def controllability(trained: Trained) -> list[Record]:
    """Measures every network under every control, by family and range; the prior log odds that each amounts to.

    predictor: controlled, under the control of a grade; uncontrolled, the same network without any; plain, the
    fine-tuned one; pretrained; ideal, exact Bayes under the grade's mixture. The right grade is 1 for the preferred
    family and 0 for the forgotten one. controllability, right_loss: of `controlled` and of `ideal`, in the mean of both
    families; with `_elsewhere`, in the mean of the world's further ones. rise: over the pretrained network's loss.
    """
    held_out, records, config = HeldOut(trained), list[Record](), trained.config
    beliefs, world = Beliefs(held_out), held_out.described
    kinds = {family: family for family in world.families} | dict(world.elsewhere)
    right = {family: float(kind == world.preferred) for family, kind in kinds.items()}

    def ideal(grade: float) -> Predictor:
        return held_out.exact(lambda seed: prior(config, seed, log_weights(grade)))

    controlled = {grade: trained.network("steer", control=c) for c, grade in enumerate(config.control.grades)}
    predictors: dict[tuple[str, float | None], Predictor] = {
        **{("controlled", grade): network for grade, network in controlled.items()},
        **{("ideal", grade): ideal(grade) for grade in controlled},
        ("uncontrolled", None): trained.programs.network(trained.params_of("steer")),
        ("plain", None): trained.network("finetune"),
        ("pretrained", None): trained.network("pretrain"),
    }
    losses = {(*key, family): held_out.loss(f, family) for key, f in predictors.items() for family in right}
    for (name, grade, family), loss in losses.items():
        records += by_range(held_out, loss, quantity="loss", predictor=name, grade=grade, family=family)
    for suffix, families in (("", world.families), ("_elsewhere", (*world.elsewhere,))):
        for name in ("controlled", "ideal") if families else ():
            under_right = np.mean([losses[name, right[family], family] for family in families], axis=0)
            under_wrong = np.mean([losses[name, 1 - right[family], family] for family in families], axis=0)
            gap = under_wrong - under_right
            records += by_range(held_out, gap, quantity=f"controllability{suffix}", predictor=name)
            records += by_range(held_out, under_right, quantity=f"right_loss{suffix}", predictor=name)
    for family, right_grade in right.items():
        for name, grade in (("controlled", right_grade), ("uncontrolled", None), ("plain", None)):
            rise = losses[name, grade, family] - losses["pretrained", None, family]
            records += by_range(held_out, rise, quantity="rise", predictor=name, family=family)
    for grade, network in controlled.items():
        records += prior_records(beliefs.prior(network), config.seeds, predictor="controlled", grade=grade)
    return records
