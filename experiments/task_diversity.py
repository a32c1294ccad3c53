"""How do gain, forgetting and recovery depend on the number of tasks in the discrete set?

    python experiments/task_diversity.py --scale smoke|laptop|paper

The more tasks, the closer the discrete set is to the Gaussian: the two families become harder to tell apart.

Under a minute on 2 cores with the networks of closeness shared. Expected at laptop scale (4 seeds, tolerance two
standard errors): early forgetting 0.518 ± 0.053, 0.104 ± 0.017 and 0.020 ± 0.006 with 4, 16 and 64 tasks, and
recovered, net, 0.677 ± 0.039, 0.182 ± 0.067 and 0.006 ± 0.057.
"""

import sys

from experiment import main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.headline import headline, summary
from implicit_inference.study.results import Results


def counts(*counts: int) -> list[Record]:
    return [{"tasks.n_discrete": n} for n in counts]


def conclude(results: Results) -> list[Claim]:
    return [
        (f"{n} discrete tasks", [], summary(results, **{"tasks.n_discrete": n}))
        for n in results.levels("tasks.n_discrete")
    ]


EXPERIMENT = Experiment(
    "task_diversity",
    {"smoke": counts(3, 12), "laptop": counts(4, 16, 64), "paper": counts(16, 64, 256)},
    headline,
    conclude,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
