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
from collections.abc import Callable

import numpy as np
from experiment import main
from jax import Array, random
from jax import numpy as jnp

from implicit_inference import keys
from implicit_inference.measure.beliefs import Beliefs
from implicit_inference.measure.formulas import Values, over_seeds
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.regression.prompts import Batch, sample_batch
from implicit_inference.regression.tasks import DiscreteTasks
from implicit_inference.regression.world import weights_prior
from implicit_inference.runs.store import Row
from implicit_inference.study.claims import Claim, said
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained
from implicit_inference.worlds import world_of

BINS = 5
ANGLES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of a right angle: 0 is a discrete task, 1 a fresh one."""


def places(trained: Trained) -> list[int]:
    """Exemplars in context: half of d, d, twice d, as far as the prompt goes."""
    d, last = trained.config.tasks.dim, trained.config.prompts.length - 1
    return sorted({k for k in (max(d // 2, 1), d, 2 * d) if k <= last})


def measure(trained: Trained) -> list[Row]:
    held_out = HeldOut(trained)
    batch = held_out.batch("gaussian")

    beliefs = Beliefs(held_out)
    closeness = beliefs.closeness(batch.prompts)
    networks = {"before": trained.network("pretrain"), "after": trained.network("finetune")}
    predictors = networks | {f"ideal_{name}": beliefs.ideal(beliefs.prior(f).logit) for name, f in networks.items()}
    ridge, discrete = held_out.predictions(held_out.forgotten, batch), held_out.predictions(held_out.preferred, batch)
    off_ridge = {name: held_out.predictions(f, batch) - ridge for name, f in predictors.items()}
    rows = []
    for k in places(trained):
        for b, members in enumerate(fifths(closeness[:, :, k])):
            labels = {"position": k, "bin": b}
            apart = members((discrete - ridge)[:, :, k])
            off = {name: members(values[:, :, k]) for name, values in off_ridge.items()}
            gate = {name: np.sum(f * apart, axis=1) / np.sum(apart**2, axis=1) for name, f in off.items()}
            rest = {name: np.mean((f - gate[name][:, None] * apart) ** 2, axis=1) for name, f in off.items()}
            loss = {name: np.mean(f**2, axis=1) for name, f in off.items()}
            quantities = {"log_odds": members(closeness[:, :, k]).mean(axis=1), "apart": np.mean(apart**2, axis=1)}
            for kind, prefix in (("network", ""), ("ideal", "ideal_")):
                quantities[f"loss_rise_{kind}"] = loss[f"{prefix}after"] - loss[f"{prefix}before"]
                quantities[f"gate_rise_{kind}"] = gate[f"{prefix}after"] - gate[f"{prefix}before"]
            quantities["rest_rise_network"] = rest["after"] - rest["before"]
            for quantity, values in quantities.items():
                rows += held_out.rows(values, quantity=quantity, **labels)
    return rows + interpolated(held_out, networks)


def fifths(coordinate: Values) -> list[Callable[[Values], Values]]:
    """For each fifth of the prompts by `coordinate` [S, prompts]: [S, prompts] -> [S, members], in the order of it."""
    order = np.argsort(coordinate, axis=1)
    size = order.shape[1] // BINS
    parts = [order[:, b * size : (b + 1) * size] for b in range(BINS)]
    return [lambda values, part=part: np.take_along_axis(values, part, axis=1) for part in parts]


def interpolated(held_out: HeldOut, networks: dict) -> list[Row]:
    """The rise of the loss on prompts of tasks between a discrete one and a fresh one, the same two at every angle."""
    config, n = held_out.config, held_out.config.probe.prompts

    def between(seed: Array, angle: Array) -> Batch:
        task_key, fresh_key, prompt_key = random.split(keys.stream(seed, "probe between"), 3)
        gaussian = weights_prior(config.tasks)
        known = gaussian.sample(keys.stream(seed, "discrete tasks"), config.tasks.n_discrete)
        known = known[random.randint(task_key, (n,), 0, config.tasks.n_discrete, jnp.int32)]
        turned = jnp.cos(angle * jnp.pi / 2) * known + jnp.sin(angle * jnp.pi / 2) * gaussian.sample(fresh_key, n)
        tasks = world_of(config).on_features(seed, DiscreteTasks(turned))
        return sample_batch(prompt_key, tasks, n, config.prompts.length, held_out.world.noise_std)

    rows, drawn = [], held_out.packed.program(between)
    for angle in ANGLES:
        batch = drawn(held_out.packed.seeds, held_out.packed.repeated(jnp.asarray(angle)))
        loss = {name: held_out.errors(f, batch).mean(axis=1) for name, f in networks.items()}
        for where in ("early", "late"):
            rise = held_out.averaged(loss["after"] - loss["before"], where)
            rows += held_out.rows(rise, quantity="loss_rise_network", angle=angle, range=where)
    return rows


def conclude(results: Results) -> list[Claim]:
    names = [name for name in results.frame if "." in name]
    claims: list[Claim] = []
    for labels, rows in results.groups(*names):
        for k in map(int, sorted(rows.levels("position"))):

            def contrast(quantity, k=k, labels=labels):
                """How much more in the closest fifth than in the farthest."""
                ends = [results.values(quantity=quantity, position=k, bin=b, **labels) for b in (BINS - 1, 0)]
                return over_seeds(ends[0] - ends[1])

            def top(quantity, k=k, labels=labels):
                """The fifth with the largest rise, 1 the farthest and 5 the closest."""
                means = [results.estimate(quantity=quantity, position=k, bin=b, **labels).mean for b in range(BINS)]
                return 1 + int(np.argmax(means))

            numbers = [
                f"{word} {said(contrast(f'{quantity}_network'))}, most in fifth {top(f'{quantity}_network')} (an ideal "
                f"learner whose prior shifts: {said(contrast(f'{quantity}_ideal'))}, {top(f'{quantity}_ideal')})"
                for word, quantity in (("loss", "loss_rise"), ("gate", "gate_rise"))
            ]
            world_name = ", ".join(f"{name.split('.')[1]} {value:g}" for name, value in labels.items())
            claims.append(
                (
                    f"{world_name}: at {k} exemplars the closest fifth is hurt more than the farthest",
                    [contrast("loss_rise_network")],
                    "; ".join(numbers)
                    + f"; rise off the line between the exact predictors {said(contrast('rest_rise_network'))}",
                )
            )
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
