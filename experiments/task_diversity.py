"""How do forgetting and recovery depend on the number of tasks in the discrete set?

    python experiments/task_diversity.py --scale smoke|laptop|paper

The n ladder. The more tasks, the closer the discrete set is to the Gaussian: the two families become harder to tell
apart, and there is less to infer. Measured and claimed as in origin.py.
"""

import sys

from experiment import MOVES, main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.probed import beyond_null, probed
from implicit_inference.study.results import Results


def ladder(*counts: int) -> list[Record]:
    return [{"tasks.n_discrete": n} for n in counts]


def conclude(results: Results) -> list[Claim]:
    return [
        claim
        for labels, part in results.groups("tasks.n_discrete")
        for claim in beyond_null(part, f"{labels['tasks.n_discrete']} discrete tasks", MOVES)
    ]


EXPERIMENT = Experiment(
    "task_diversity",
    {"smoke": ladder(3, 12), "laptop": ladder(4, 8, 16, 32, 64), "paper": ladder(16, 64, 256)},
    probed,
    conclude,
    ("pretrain", "finetune", "scratch"),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
