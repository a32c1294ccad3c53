"""Do larger networks forget less, and does more of what they forget come back?

    python experiments/model_size.py --scale smoke|laptop|paper

6 minutes on 2 cores, all training included. Expected at laptop scale (4 seeds, mean ± standard error; tolerance two
standard errors: other machines change the last bits, which training amplifies), for 1 layer of width 16, 2 of 32, 4 of
32, 4 of 64: forgetting 0.358 ± 0.057, 0.613 ± 0.086, 0.518 ± 0.053, 0.662 ± 0.100 early and 0.339 ± 0.032,
0.416 ± 0.012, 0.394 ± 0.031, 0.469 ± 0.029 late; recovered, net of the pretrained network, 0.614 ± 0.054,
0.765 ± 0.035, 0.677 ± 0.039, 0.692 ± 0.045 early and 0.288 ± 0.037, 0.578 ± 0.050, 0.443 ± 0.036, 0.636 ± 0.049 late.
Nothing was claimed. The smallest network forgets and recovers the least, in the mean, and is the farthest above ridge
before: by 0.449 ± 0.033 early and 0.710 ± 0.026 late, the largest by 0.283 ± 0.046 and 0.126 ± 0.010. Among the other
three none of the numbers of forgetting and recovery goes one way with the size.

Asked by the paper's reviewers. Every size has the same training; how far the pretrained network is above the exact
predictors of either family alone stands beside it.
"""

import sys

from experiment import main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.headline import headline, summary
from implicit_inference.study.results import Results


def sizes(*layers_and_widths: tuple[int, int]) -> list[Record]:
    return [{"model.layers": layers, "model.width": width} for layers, width in layers_and_widths]


def conclude(results: Results) -> list[Claim]:
    sizes = sorted(tuple(labels.values()) for labels, _ in results.groups("model.layers", "model.width"))
    return [
        (
            f"{layers} layers of width {width}",
            [],
            summary(results, **{"model.layers": layers, "model.width": width}),
        )
        for layers, width in sizes
    ]


EXPERIMENT = Experiment(
    "model_size",
    {
        "smoke": sizes((1, 16), (2, 32)),
        "laptop": sizes((1, 16), (2, 32), (4, 32), (4, 64)),
        "paper": sizes((3, 64), (6, 128), (12, 256)),
    },
    headline,
    conclude,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
