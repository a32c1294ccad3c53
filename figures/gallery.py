"""Every figure from its stored table, and the page that shows them all: figures/README.md.

python figures/gallery.py [--scale laptop]     (make figures)
"""

import argparse
import importlib
import sys

from figure import FIGURES

from implicit_inference.runs import process
from implicit_inference.runs.files import write_whole
from implicit_inference.study.gallery import draw_all, page

ENTRIES = {
    "single_distribution": (
        "single_distribution",
        "Trained on one task distribution, the network against exact Bayes.",
    ),
    "tradeoff": ("tradeoff", "Trained on a mixture: what is traded off, as training goes on, and the exact curve."),
    "forgetting": ("forgetting", "Losses and the inferred prior odds in the course of fine-tuning."),
    "closeness": (
        "closeness",
        "Loss and gate by how much a Gaussian prompt looks like the discrete set, in many worlds.",
    ),
    "between": ("closeness", "The rise of the loss from discrete tasks, over tasks between, to fresh ones."),
    "conjugation": ("conjugation", "Recovery and losses against the label scale, with the controls."),
    "positions": ("conjugation", "Recovery at every number of exemplars."),
    "other_conjugations": (
        "other_conjugations",
        "Other maps of a prompt, averages over a group, and choices per prompt.",
    ),
    "origin": (
        "origin",
        "Forgetting in two parts; recovery as predicted from the inferred prior odds and as measured.",
    ),
    "finetuning_sets": (
        "finetuning_sets",
        "What fine-tuning shows: the set, another one, a part of it, a narrow Gaussian.",
    ),
    "replay": ("replay", "Some of pretraining's prompts among those of fine-tuning."),
    "lessons": (
        "lessons",
        "Students of a teacher's answers to Gaussian prompts: what they gain, forget and get back.",
    ),
    "finetuning_prompts": ("finetuning_prompts", "How many fine-tuning prompts it takes before the effect appears."),
    "methods": (
        "methods",
        "The map: gain against forgetting for every way to fine-tune, and what label scaling brings back.",
    ),
    "control": ("control", "Control tokens: tuned on the frozen network first, or trained with it at once."),
    "model_size": ("model_size", "Networks of several sizes."),
    "task_diversity": ("task_diversity", "Discrete sets of several sizes."),
    "nonlinear": ("nonlinear", "Tasks on a hidden layer of ReLU features."),
}
"""figure -> (experiment, what it shows)"""


INTRODUCTION = (
    "Scale: {scale}. `make figures` draws all of it from the tables in [data/{scale}]({tables}), without any "
    "training; the command beneath a figure writes its table anew. Losses are noise-free squared errors, ± is one"
    " standard error over seeds. The claims of an experiment are one family of comparisons: one held if it stands"
    " after Holm's correction for their number (one-sided t tests over seeds, 5 % together), and is open where a "
    "number is undefined or nothing was claimed. Inferred log odds are medians, with the range over seeds: those "
    "of a network whose answers one family alone would give have no limit."
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="figures/gallery.py", description="Draws every figure from its stored table.")
    parser.add_argument("--scale", choices=("smoke", "laptop", "paper"), default="laptop")
    scale = parser.parse_args().scale
    return process.run("figures/gallery.py", lambda: draw(scale))


def draw(scale: str) -> int:
    """Draws every figure that has a table of this scale, and writes the page about them."""
    drawn = draw_all(ENTRIES, lambda name: importlib.import_module(name).draw, FIGURES, scale)
    if drawn:
        top = scale == "laptop"
        out = FIGURES / ("README.md" if top else f"{scale}/README.md")
        pictures, tables = (f"{scale}/", f"data/{scale}") if top else ("", f"../data/{scale}")
        introduction = INTRODUCTION.format(scale=scale, tables=tables)
        write_whole(out, page(ENTRIES, drawn, FIGURES / "data" / scale, pictures, introduction).encode())
        print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
