"""Is the spread over seeds that of the tasks, or that of the networks that were trained on them?

    python experiments/spread.py --scale smoke|laptop|paper

Elsewhere every seed has tasks, parameters and data of its own. Here seeds share the tasks of a world, in pairs at
laptop scale, and differ in parameters and data. The variance over seeds then has a part between worlds and a part
within them. Both are estimated by a one-way analysis of variance with random effects; its F test asks whether worlds
differ at all.
"""

import sys

import numpy as np
from experiment import main
from scipy.stats import f as f_distribution

from implicit_inference.measure.formulas import Values
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES, by_range, conjugations
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

CASE = ("label_scale", 2.0)
MEASURED = {"gain": "gain", "forgetting": "forgetting", "net": "net recovery, labels × 2"}


def measure(trained: Trained) -> list[Record]:
    """Gain, forgetting and net recovery, a value a seed."""
    held_out = HeldOut(trained)
    world, move = held_out.described, conjugations(held_out, [CASE])[CASE]
    before, after = trained.network("pretrain"), trained.network("finetune")

    def rise(family: str, conjugation: object = None) -> Values:
        return held_out.loss(after, family, conjugation) - held_out.loss(before, family, conjugation)

    forgotten, under = rise(world.forgotten), rise(world.forgotten, move)
    records = by_range(held_out, -rise(world.gain_family(trained.config)), quantity="gain")
    records += by_range(held_out, forgotten, quantity="forgetting")
    for where in RANGES:
        net = 1 - held_out.averaged(under, where) / held_out.averaged(forgotten, where)
        records += held_out.records(net, quantity="net", range=where)
    return records


def variances(values: Values, worlds: Values) -> tuple[float, float, float]:
    """The variance between worlds and within them, of values [S] in worlds [S]; the p of the F test of the former.

    Within: s^2, the mean square about the mean of each world. Between: (m - s^2) / n_0, at least 0, with m the mean
    square of the worlds, F = m / s^2, and n_0 = (S - sum n_w^2 / S) / (W - 1) for n_w networks in each of W worlds.
    """
    groups = [values[worlds == world] for world in np.unique(worlds)]
    sizes, means = np.array([len(group) for group in groups]), np.array([group.mean() for group in groups])
    free = len(groups) - 1, len(values) - len(groups)
    outside = float(sizes @ (means - values.mean()) ** 2) / free[0]
    inside = float(sum(((group - group.mean()) ** 2).sum() for group in groups)) / free[1]
    each = (len(values) - (sizes**2).sum() / len(values)) / free[0]
    return max(0.0, outside - inside) / float(each), inside, float(f_distribution.sf(outside / inside, *free))


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    for where in RANGES:
        for quantity, name in MEASURED.items():
            part = results.where(quantity=quantity, range=where).ordered("seed")
            worlds, numbers = part.column("seed") % part.column("worlds"), "undefined: too few networks"
            if 1 < len(np.unique(worlds)) < len(worlds):
                between, within, p = variances(part.values(), worlds)
                numbers = f"standard deviation between worlds {between**0.5:.3f}, within them {within**0.5:.3f}; "
                numbers += f"share of the variance {between / (between + within):.0%}, p = {p:.2g}"
            claims.append((f"{name}, {where}", [], numbers))
    return claims


VARIANTS = {scale: [{"worlds": worlds}] for scale, worlds in (("smoke", 2), ("laptop", 6), ("paper", 2))}
EXPERIMENT = Experiment("spread", VARIANTS, measure, conclude, seeds=12)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
