"""Do larger networks forget less, and does more of what they forget come back?

    python experiments/model_size.py --scale smoke|laptop|paper

Asked by the paper's reviewers. Every size has the same training; the distance from exact Bayes stands beside it.
"""

import sys

from experiment import Experiment, Finding, Results
from headline import headline, summary


def sizes(*layers_and_widths: tuple[int, int]) -> list[dict]:
    return [{"model.layers": layers, "model.width": width} for layers, width in layers_and_widths]


def conclude(results: Results) -> list[Finding]:
    sizes = {(row["model.layers"], row["model.width"]) for row in results.rows}
    return [
        Finding(
            f"{layers} layers of width {width}",
            None,
            summary(results, **{"model.layers": layers, "model.width": width}),
        )
        for layers, width in sorted(sizes)
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
    sys.exit(EXPERIMENT.main())
