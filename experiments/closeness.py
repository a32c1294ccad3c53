"""Are the Gaussian prompts that look most like the discrete set hurt the most? In which worlds, and in which sense?

    python experiments/closeness.py --scale smoke|laptop|paper

15 minutes on 2 cores with the pretrained networks of alpha 0.2, 0.5, 0.8 shared. Expected at laptop scale (4 seeds,
mean ± standard error; tolerance two standard errors: other machines change the last bits, which training amplifies):
one of 20 comparisons of the closest with the farthest fifth held: dim 8 at 4 exemplars, 1.258 ± 0.166; at 8, dim 8
(0.585 ± 0.142) and alpha 0.8 (0.270 ± 0.095) fail the correction alone, and 16 tasks are the reverse, -0.080 ± 0.015.
In the base world it is 0.213 ± 0.190, 0.185 ± 0.123, 0.056 ± 0.102 at 2, 4, 8 exemplars, of an ideal learner
0.473 ± 0.211, 0.624 ± 0.095, 0.494 ± 0.030; the gate rises more in the closest fifth by 0.057 ± 0.025 at 4 and
0.095 ± 0.036 at 8. Between tasks, the rise is the largest for fresh ones in all seven worlds: from -0.214 ± 0.038 at a
discrete task to 0.500 ± 0.062, early.

Claim 4: the rise is largest for prompts that look most like D_disc. It has two readings, told apart here: the rise of
the loss, and the rise of the gate, the least-squares weight of (discrete - ridge) in (network - ridge). On Gaussian
prompts whose past has given log odds, E(f - y)^2 - E(ridge - y)^2 = E(f - ridge)^2 = gate^2 E(discrete - ridge)^2 +
rest, so the loss can rise less where the gate rises more: close prompts are those on which the two predictors agree.
Bins are fifths of the prompts of a seed by exact log odds at one position, never pooled over positions. Beside it,
tasks cos(t) w + sin(t) u between a discrete task w and a fresh one u, which keep the length of Gaussian tasks.
"""

import sys
from collections.abc import Mapping

import numpy as np
from experiment import main
from jax import Array, random
from jax import numpy as jnp
from numpy.typing import NDArray

from implicit_inference import keys
from implicit_inference.measure.beliefs import Beliefs
from implicit_inference.measure.formulas import Estimate, Values, over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.regression.prompts import Batch, sample_batch
from implicit_inference.regression.tasks import DiscreteTasks
from implicit_inference.regression.world import World, weights_prior
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import by_range
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained
from implicit_inference.worlds import Predictor

BINS = 5
ANGLES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Angles as fractions of a right one: 0 is a discrete task, 1 a fresh one."""


def measure(trained: Trained) -> list[Record]:
    held_out, records = HeldOut(trained), list[Record]()
    beliefs, batch, d = Beliefs(held_out), held_out.batch("gaussian"), trained.config.tasks.dim
    closeness = beliefs.closeness(batch.prompts)
    networks = {"before": trained.network("pretrain"), "after": trained.network("finetune")}
    ideals = {name: beliefs.ideal(beliefs.prior(network).logit) for name, network in networks.items()}
    ridge, discrete = (held_out.predictions(f, batch) for f in (held_out.forgotten, held_out.preferred))
    off_ridge = {
        (kind, name): held_out.predictions(predictor, batch) - ridge
        for kind, predictors in (("network", networks), ("ideal", ideals))
        for name, predictor in predictors.items()
    }
    for k in sorted({k for k in (max(d // 2, 1), d, 2 * d) if k < trained.config.prompts.length}):
        for b, members in enumerate(fifths(closeness[:, :, k])):

            def inside(values: Values, k: int = k, members: NDArray[np.integer] = members) -> Values:
                """[S, prompts, K] -> [S, members]."""
                return np.take_along_axis(values[:, :, k], members, axis=1)

            apart = inside(discrete - ridge)
            found = {"log_odds": inside(closeness).mean(axis=1), "apart": np.mean(apart**2, axis=1)}
            for kind in ("network", "ideal"):
                off = {name: inside(off_ridge[kind, name]) for name in networks}
                gate = {name: np.sum(f * apart, axis=1) / np.sum(apart**2, axis=1) for name, f in off.items()}
                loss = {name: np.mean(f**2, axis=1) for name, f in off.items()}
                rest = {name: np.mean((f - gate[name][:, None] * apart) ** 2, axis=1) for name, f in off.items()}
                found[f"loss_rise_{kind}"] = loss["after"] - loss["before"]
                found[f"gate_rise_{kind}"] = gate["after"] - gate["before"]
                if kind == "network":
                    found["rest_rise_network"] = rest["after"] - rest["before"]
            for quantity, by_seed in found.items():
                records += held_out.records(by_seed, quantity=quantity, position=k, bin=b)
    return records + interpolated(held_out, networks)


def fifths(coordinate: Values) -> list[NDArray[np.integer]]:
    """The indices [S, members] of each fifth of the prompts by a coordinate [S, prompts], ascending."""
    size = coordinate.shape[1] // BINS
    return np.split(np.argsort(coordinate, axis=1)[:, : BINS * size], BINS, axis=1)


def interpolated(held_out: HeldOut, networks: Mapping[str, Predictor]) -> list[Record]:
    """The rise of the loss on prompts of tasks between a discrete one and a fresh one, the same two at every angle."""
    config, n, world = held_out.config, held_out.config.probe.prompts, World.of(held_out.config)

    def between(seed: Array, angle: Array) -> Batch:
        task_key, fresh_key, prompt_key = random.split(keys.stream(seed, "probe between"), 3)
        gaussian = weights_prior(config.tasks)
        known = gaussian.sample(keys.stream(seed, "discrete tasks"), config.tasks.n_discrete)
        known = known[random.randint(task_key, (n,), 0, config.tasks.n_discrete, jnp.int32)]
        turned = jnp.cos(angle * jnp.pi / 2) * known + jnp.sin(angle * jnp.pi / 2) * gaussian.sample(fresh_key, n)
        tasks = world.on_features(seed, DiscreteTasks(turned))
        return sample_batch(prompt_key, tasks, n, config.prompts.length, world.noise_std)

    records, drawn = list[Record](), held_out.packed.program(between)
    for angle in ANGLES:
        batch = drawn(held_out.packed.seeds, held_out.packed.repeated(jnp.asarray(angle)))
        loss = {name: held_out.errors(f, batch).mean(axis=1) for name, f in networks.items()}
        records += by_range(held_out, loss["after"] - loss["before"], quantity="loss_rise_network", angle=angle)
    return records


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for labels, part in results.groups(*(name for name in results.frame if "." in name)):
        world = ", ".join(f"{name.split('.')[1]} {value:g}" for name, value in labels.items())
        for k in sorted(part.levels("position")):
            fifth = [part.where(position=k, bin=b) for b in range(BINS)]

            def contrast(quantity: str, fifth: list[Results] = fifth) -> Estimate:
                """How much more in the closest fifth than in the farthest."""
                return over_seeds(fifth[-1].values(quantity=quantity) - fifth[0].values(quantity=quantity))

            def told(quantity: str, fifth: list[Results] = fifth) -> tuple[str, int]:
                """The contrast, and the fifth with the largest rise: 1 the farthest, 5 the closest."""
                means = [records.estimate(quantity=quantity).mean for records in fifth]
                return as_text(contrast(quantity)), 1 + int(np.argmax(means))

            numbers = [
                "{} {}, most in fifth {} (an ideal learner whose prior shifts: {}, {})".format(
                    word, *told(f"{word}_rise_network"), *told(f"{word}_rise_ideal")
                )
                for word in ("loss", "gate")
            ]
            off_line = f"rise off the line between the exact predictors {as_text(contrast('rest_rise_network'))}"
            claim = f"{world}: at {k} exemplars the closest fifth is hurt more than the farthest"
            claims.append((claim, [contrast("loss_rise_network")], "; ".join([*numbers, off_line])))
    return claims


EXPERIMENT = Experiment(
    "closeness",
    {
        "smoke": [{}, {"tasks.n_discrete": 12}],
        "laptop": [
            {},
            {"tasks.n_discrete": 16},
            {"tasks.n_discrete": 64},
            {"tasks.dim": 8},
            {"pretrain.discrete_prob": 0.2},
            {"pretrain.discrete_prob": 0.8},
            {"pretrain.steps": 1000},
        ],
        "paper": [{}, {"tasks.n_discrete": 16}, {"tasks.dim": 10}, {"pretrain.discrete_prob": 0.2}],
    },
    measure,
    conclude,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
