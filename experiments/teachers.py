"""Does a student learn from what a teacher answers, or from what it has in common with its teacher?

    python experiments/teachers.py --scale smoke|laptop|paper

Lessons as in lessons.py: the pretrained network is trained on a teacher's answers to Gaussian prompts, none of which
shows the discrete set. Teachers: its own fine-tuned network, which began as the student does; a stranger, the
fine-tuned network of another seed with the same tasks; an account, exact Bayes with the prior odds and the weight of
the evidence fitted to the own fine-tuned network, which has no other habit of a network; exact Bayes under the set;
and the control, whose answers are the prompts' own labels. Two networks share the tasks of a world: an effect is first
averaged within each world, and its interval is over worlds.
"""

import sys

import numpy as np
from experiment import main

from implicit_inference.measure.formulas import Estimate, Values, over_seeds
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.headline import headline, mean_of_ranges, summary
from implicit_inference.study.results import Results

TEACHERS = {
    "finetuned": "its own network",
    "stranger": "a stranger",
    "account": "an account of its network",
    "bayes": "exact Bayes",
}
CONTROL = "truth"


def of_worlds(results: Results, values: Values) -> Estimate:
    """The mean of values [S], in the order of the seeds; its spread over worlds, within each of which it is a mean."""
    seeds, worlds = np.array(sorted(results.levels("seed"))), int(results.levels("worlds")[0])
    return over_seeds(np.array([values[seeds % worlds == world].mean() for world in np.unique(seeds % worlds)]))


def conclude(results: Results) -> list[Claim]:
    """A skill gained, and a capability forgotten: beyond the pretrained network, and beyond the control's student."""
    claims: list[Claim] = []
    parts = {name: results.where(lesson__teacher=name) for name in (*TEACHERS, CONTROL)}
    for name, teacher in TEACHERS.items():
        for quantity, verb in {"gain": "gains the skill", "forgetting": "forgets"}.items():
            own, control, found = (mean_of_ranges(parts[of], quantity) for of in ("finetuned", CONTROL, name))
            effects = [of_worlds(results, found), of_worlds(results, found - control)]
            numbers = f"{as_text(effects[0])}; more than the control by {as_text(effects[1])}"
            if name != "finetuned":
                numbers += f"; less than its own network's by {as_text(of_worlds(results, own - found))}"
            claims.append((f"taught by {teacher}, the student {verb}", effects, numbers))
    return claims + [(f"student of the teacher {name}", [], summary(part)) for name, part in parts.items()]


VARIANTS = {
    scale: [{"worlds": worlds, "lesson.teacher": teacher} for teacher in (*TEACHERS, CONTROL)]
    for scale, worlds in (("smoke", 2), ("laptop", 6), ("paper", 2))
}
EXPERIMENT = Experiment(
    "teachers",
    VARIANTS,
    lambda trained: headline(trained, "student"),
    conclude,
    ("pretrain", "finetune", "student"),
    seeds=12,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
