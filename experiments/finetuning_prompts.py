"""How many fine-tuning prompts does it take before the effect appears?

    python experiments/finetuning_prompts.py --scale smoke|laptop|paper

Asked by the paper's reviewers. Prompts seen = steps x batch; every batch size takes the same steps at the same rates,
so that the two can be told apart. Losses are those of the validation prompts, averaged over all positions, as changes
from before fine-tuning, seed by seed.
"""

import sys

import numpy as np
from experiment import FAMILIES, main

from implicit_inference.measure.formulas import Values, over_seeds
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained
from implicit_inference.training.programs import VALIDATION_PROMPTS


def batches(*sizes: int) -> list[Record]:
    return [{"finetune.batch": size} for size in sizes]


def measure(trained: Trained) -> list[Record]:
    table = [
        record
        for record in trained.run_of("finetune").read_table("training.parquet")
        if record["predictor"] == "network"
    ]
    before = {(record["seed"], record["family"]): record["mean"] for record in table if record["step"] == 0}
    return [
        {"step": record["step"], "shown": record["step"] * trained.config.finetune.batch, "family": record["family"]}
        | {
            "seed": record["seed"],
            "mean": record["mean"] - before[record["seed"], record["family"]],
            "n": VALIDATION_PROMPTS,
        }
        for record in table
        if record["family"] in FAMILIES
    ]


def conclude(results: Results) -> list[Claim]:
    claims: list[Claim] = []
    steps = sorted(results.levels("step"))
    for size in sorted(results.levels("finetune.batch")):

        def change(family: str, step: int, size: int = size) -> Values:
            return results.values(finetune__batch=size, family=family, step=step)

        parts = []
        for family, word in (("discrete", "gain"), ("gaussian", "forgetting")):
            ends = change(family, steps[-1])
            half = next(s for s in steps if np.mean(change(family, s)) / np.mean(ends) >= 0.5)
            parts.append(f"{word} {as_text(over_seeds(np.abs(ends)))}, half of it after {half * size} prompts")
        claims.append((f"batches of {size}, {steps[-1]} steps", [], "; ".join(parts)))
    return claims


EXPERIMENT = Experiment(
    "finetuning_prompts",
    {"smoke": batches(8, 64), "laptop": batches(4, 16, 64), "paper": batches(4, 16, 64)},
    measure,
    conclude,
    seeds=4,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
