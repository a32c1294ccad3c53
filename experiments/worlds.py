"""Does what the small world shows hold in worlds nearer to the paper's?

    python experiments/worlds.py --scale smoke|laptop|workstation

At scale workstation: 8 inputs and 16 tasks, which are half of pretraining, or four fifths; 8 inputs and 64 tasks; the
paper's 20 inputs and 64 tasks, up to 40 exemplars. Networks for 64 tasks are larger. Measured and claimed as in
origin.py; how far each network was from exact predictors stands beside it.
"""

import sys

from experiment import FAMILIES, MOVES, main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, listed
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES
from implicit_inference.study.probed import beyond_null, by_world, probed
from implicit_inference.study.results import Results

LARGE: Record = {"model.width": 128, "model.layers": 6}
WORLDS: list[Record] = [
    {},
    {"pretrain.discrete_prob": 0.8},
    {"tasks.n_discrete": 64, **LARGE},
    {"tasks.n_discrete": 64, "tasks.dim": 20, "prompts.length": 41, **LARGE},
]


EXCESS = {f"on {family} prompts": f"excess_{family}" for family in FAMILIES}


def conclude(results: Results) -> list[Claim]:
    """Claims of each world: of recovery, as in origin.py; then how far its network was from exact predictors.

    These know the family of a prompt, which exact Bayes has to infer.
    """
    claims = list[Claim]()
    for world, part in by_world(results):
        claims += beyond_null(part, world, MOVES)
        for where in RANGES:
            numbers = listed(part, EXCESS, range=where)
            claims.append((f"{world}, {where}: loss above the family's exact predictor before tuning", [], numbers))
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
