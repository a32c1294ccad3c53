"""Does a student learn from what a teacher answers, or from what it has in common with its teacher?

    python experiments/teachers.py --scale smoke|laptop|paper

Lessons as in lessons.py: the pretrained network is trained on a teacher's answers to Gaussian prompts, none of which
shows the discrete set. Teachers: its own fine-tuned network, which began as the student does; a stranger, the
fine-tuned network of another seed with the same tasks, which began elsewhere; an account, exact Bayes with the prior
odds and the weight of the evidence fitted to the own fine-tuned network, which has no other habit of a network; exact
Bayes under the set; and the control, whose answers are the prompts' own labels. Two networks share the tasks of a
world: an effect is first averaged within each world, and its interval is over the six worlds.
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
WORLDS = 6


def of_worlds(values: Values) -> Estimate:
    """Averages values [S], of the seeds from 0 on, within each world; then over worlds, with their error."""
    homes = np.arange(len(values)) % WORLDS
    return over_seeds(np.array([values[homes == home].mean() for home in np.unique(homes)]))


def conclude(results: Results) -> list[Claim]:
    """Claims about gain and forgetting: beyond the control's student, and beyond another teacher's."""
    claims: list[Claim] = []
    parts = {name: results.where(lesson__teacher=name) for name in (*TEACHERS, CONTROL)}
    for quantity, verb in {"gain": "gains the skill", "forgetting": "forgets"}.items():
        values = {name: mean_of_ranges(part, quantity) for name, part in parts.items()}
        for name, teacher in TEACHERS.items():
            effects = [of_worlds(values[name]), of_worlds(values[name] - values[CONTROL])]
            numbers = f"{as_text(effects[0])}; more than the control by {as_text(effects[1])}"
            claims.append((f"taught by {teacher}, the student {verb}", effects, numbers))
        for name, other in (("finetuned", "stranger"), ("stranger", "account"), ("account", "bayes")):
            more = of_worlds(values[name] - values[other])
            claim = f"taught by {TEACHERS[name]}, the student {verb} more than by {TEACHERS[other]}"
            claims.append((claim, [more], as_text(more)))
    return claims + [(f"student of the teacher {name}", [], summary(part)) for name, part in parts.items()]


VARIANTS = [{"worlds": WORLDS, "lesson.teacher": teacher} for teacher in (*TEACHERS, CONTROL)]
EXPERIMENT = Experiment(
    "teachers",
    dict.fromkeys(("smoke", "laptop", "paper"), VARIANTS),
    lambda trained: headline(trained, "student"),
    conclude,
    ("pretrain", "finetune", "student"),
    seeds=2 * WORLDS,
    units=lambda results: min(results.seeds, WORLDS),
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
