"""Do larger networks forget less, and does more of what they forget come back?

    python experiments/model_size.py --scale smoke|laptop|paper

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
    seeds=4,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
