"""Does what the small world shows hold in worlds nearer to the paper's?

    python experiments/worlds.py --scale smoke|laptop|workstation

A: 8 inputs, 16 tasks. B: 8 inputs, 64 tasks, a larger network. C: the paper's 20 inputs and 64 tasks, up to 40
exemplars. Measured and claimed as in origin.py.
"""

import sys

from experiment import FAMILIES, MOVES, main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, listed
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES
from implicit_inference.study.probed import beyond_null, probed
from implicit_inference.study.results import Results

LARGE: Record = {"model.width": 128, "model.layers": 6}
WORLDS: list[Record] = [
    {},
    {"pretrain.discrete_prob": 0.8},
    {"tasks.n_discrete": 64, **LARGE},
    {"tasks.n_discrete": 64, "tasks.dim": 20, "prompts.length": 41, **LARGE},
]


TOLD = {"tasks.dim": "{:g} inputs", "tasks.n_discrete": "{:g} tasks", "pretrain.discrete_prob": "alpha {:g}"}
"""What a claim tells of its world, where worlds differ in it"""
EXCESS = {f"on {family} prompts": f"excess_{family}" for family in FAMILIES}


def conclude(results: Results) -> list[Claim]:
    """Claims of each world: of recovery, as in origin.py; then how far its network was from exact Bayes."""
    told, claims = {name: text for name, text in TOLD.items() if name in results.frame}, list[Claim]()
    for labels, part in results.groups(*told):
        world = ", ".join(told[name].format(labels[name]) for name in told)
        claims += beyond_null(part, world, MOVES)
        for where in RANGES:
            numbers = listed(part, EXCESS, range=where)
            claims.append((f"{world}, {where}: loss above the exact predictor's, before fine-tuning", [], numbers))
    return claims


LAPTOP: list[Record] = [{}, {"tasks.dim": 8, "prompts.length": 24}]
SMOKE: list[Record] = [{"tasks.dim": 2, "pretrain.discrete_prob": alpha} for alpha in (0.5, 0.8)]
EXPERIMENT = Experiment(
    "worlds",
    {"smoke": SMOKE, "laptop": LAPTOP, "workstation": WORLDS},
    probed,
    conclude,
    ("pretrain", "finetune", "scratch"),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
