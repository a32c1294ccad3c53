"""Are the Gaussian prompts that look most like the discrete set hurt the most? In which worlds, and in which sense?

    python experiments/closeness.py --scale smoke|laptop|paper

Claim 4: the rise is largest for prompts that look most like D_disc. It has two readings, told apart here: the rise of
the loss, and the rise of the gate, the least-squares weight of (discrete - ridge) in (network - ridge). On Gaussian
prompts whose past has given log odds, E(f - y)^2 - E(ridge - y)^2 = E(f - ridge)^2 = gate^2 E(discrete - ridge)^2 +
rest, so the loss can rise less where the gate rises more: close prompts are those on which the two predictors agree.
Bins are fifths of the prompts of a seed by exact log odds at one position, never pooled over positions. Beside it,
tasks cos(t) w + sin(t) u between a discrete task w and a fresh one u, which keep the length of Gaussian tasks.
"""

import sys
from functools import partial

import numpy as np
from experiment import main
from jax import numpy as jnp

from implicit_inference.measure.beliefs import Beliefs
from implicit_inference.measure.formulas import Estimate, over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.regression.world import World
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import by_range, in_bins, projected
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

VARIANTS: dict[str, list[Record]] = {
    "smoke": [{}, {"tasks.n_discrete": 12}],
    "laptop": [
        *({}, {"tasks.n_discrete": 16}, {"tasks.n_discrete": 64}, {"tasks.dim": 8}),
        *({"pretrain.discrete_prob": 0.2}, {"pretrain.discrete_prob": 0.8}, {"pretrain.steps": 1000}),
    ],
    "paper": [{}, {"tasks.n_discrete": 16}, {"tasks.dim": 10}, {"pretrain.discrete_prob": 0.2}],
}
BINS, KINDS = 5, ("network", "ideal")
ANGLES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Angles as fractions of a right one: 0 is a discrete task, 1 a fresh one."""


def measure(trained: Trained) -> list[Record]:
    held_out, records = HeldOut(trained), list[Record]()
    beliefs, batch, d = Beliefs(held_out), held_out.batch("gaussian"), trained.config.tasks.dim
    closeness = held_out.closeness(batch.prompts)
    networks = [trained.network(name) for name in ("pretrain", "finetune")]
    ideals = [beliefs.ideal(beliefs.prior(network).logit) for network in networks]
    ridge, discrete = (held_out.predictions(f, batch) for f in (held_out.forgotten, held_out.preferred))
    off_ridge = {
        kind: [held_out.predictions(f, batch) - ridge for f in pair]
        for kind, pair in zip(KINDS, (networks, ideals), strict=True)
    }
    for k in sorted({k for k in (max(d // 2, 1), d, 2 * d) if k < trained.config.prompts.length}):
        for b, members in enumerate(in_bins(closeness[:, :, k], BINS)):
            inside = partial(np.take_along_axis, indices=members, axis=1)
            apart = inside((discrete - ridge)[:, :, k])
            found = {"log_odds": inside(closeness[:, :, k]).mean(axis=1), "apart": np.mean(apart**2, axis=1)}
            for kind, pair in off_ridge.items():
                before, after = (projected(inside(values[:, :, k]), apart) for values in pair)
                found |= {f"{name}_rise_{kind}": after[name] - before[name] for name in ("loss", "gate", "rest")}
            del found["rest_rise_ideal"]  # ideal learners stay on the line
            for quantity, values in found.items():
                records += held_out.records(values, quantity=quantity, position=k, bin=b)
    sample = partial(World.of(trained.config).sample_between, n=trained.config.probe.prompts)
    for angle in ANGLES:
        between = held_out.packed.program(sample)(held_out.packed.seeds, held_out.packed.repeated(jnp.asarray(angle)))
        loss = [held_out.errors(network, between).mean(axis=1) for network in networks]
        records += by_range(held_out, loss[1] - loss[0], quantity="loss_rise_network", angle=angle)
    return records


def contrast(part: Results, quantity: str) -> tuple[Estimate, int]:
    """How much more in the closest fifth than in the farthest; the fifth with most: 1 the farthest, 5 the closest."""
    fifths = [part.where(quantity=quantity, bin=b) for b in range(BINS)]
    means = [fifth.estimate().mean for fifth in fifths]
    return over_seeds(fifths[-1].values() - fifths[0].values()), 1 + int(np.argmax(means))


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for labels, part in results.groups(*(name for name in results.frame if "." in name)):
        world = ", ".join(f"{name.split('.')[1]} {value:g}" for name, value in labels.items())
        for k in sorted(part.levels("position")):
            here, parts = part.where(position=k), []
            for name in ("loss", "gate"):
                (more, most), (ideal, most_ideal) = (contrast(here, f"{name}_rise_{kind}") for kind in KINDS)
                shift = f"an ideal learner whose prior shifts: {as_text(ideal)}, {most_ideal}"
                parts.append(f"{name} {as_text(more)}, most in fifth {most} ({shift})")
            rest = as_text(contrast(here, "rest_rise_network")[0])
            parts.append(f"rise off the line between the exact predictors {rest}")
            claim = f"{world}: at {k} exemplars the closest fifth is hurt more than the farthest"
            claims.append((claim, [contrast(here, "loss_rise_network")[0]], "; ".join(parts)))
    return claims


EXPERIMENT = Experiment("closeness", VARIANTS, measure, conclude, seeds=4)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
