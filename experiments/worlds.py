"""Does what the small world shows hold in worlds nearer to the paper's?

    python experiments/worlds.py --scale smoke|laptop|workstation

A: 8 inputs, 16 tasks. B: 8 inputs, 64 tasks, a larger network. C: the paper's 20 inputs and 64 tasks, up to 40
exemplars. Measured and claimed as in origin.py.
"""

import sys

from experiment import MOVES, main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.probed import beyond_null, probed
from implicit_inference.study.results import Results

LARGE: Record = {"model.width": 128, "model.layers": 6}
WORLDS: list[Record] = [
    {},
    {"pretrain.discrete_prob": 0.8},
    {"tasks.n_discrete": 64, **LARGE},
    {"tasks.n_discrete": 64, "tasks.dim": 20, "prompts.length": 41, **LARGE},
]


def conclude(results: Results) -> list[Claim]:
    return [
        claim
        for labels, part in results.groups(*(name for name in results.frame if "." in name))
        for claim in beyond_null(part, ", ".join(f"{name} = {value:g}" for name, value in labels.items()), MOVES)
    ]


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
