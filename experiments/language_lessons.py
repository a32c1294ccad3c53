"""Does a student follow instructions, and in which languages, after a teacher's answers to fresh English documents?

    python experiments/language_lessons.py --scale smoke|laptop|paper

Non-instructional fine-tuning, as in lessons.py: no document comes from a known table. A teacher answers the later pairs
of fresh English documents from what it has answered before; the student is the pretrained network, trained on these
answers alone by the recipe of instruction tuning, of which nothing was chosen anew. Teachers: the network tuned to
follow instructions in English, exact Bayes under the known tables, and the control, whose answers are the fresh table's
own. Documents keep their instructions, so that a teacher who follows them shows it in some answers. The filter keeps
the fourth that the known tables explain the least: answers that hardly show it. Beside them stands direct instruction
tuning. Recovery is measured and claimed as in translation.py.
"""

import sys

import numpy as np
from experiment import TRANSLATED, main
from jax import Array
from jax import numpy as jnp

from implicit_inference.language.world import World
from implicit_inference.measure.formulas import over_seeds, share
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.headline import mean_of_ranges
from implicit_inference.study.probed import UNDEFINED, beyond_null, probed
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained
from implicit_inference.training.stages import Parents, lesson, teacher

CONTROL = "truth"
TEACHERS = {"finetuned": "the tuned network", "bayes": "exact Bayes", CONTROL: "the fresh tables (control)"}
WHERE = {"known": "in English", "known_elsewhere": "in the second language"}
FORGOTTEN = {"fresh": "in English", "fresh_elsewhere": "in the second language"}


def measure(trained: Trained) -> list[Record]:
    """The probe's rows; followed: of the answers taught under an instruction, those that it asks for."""
    config, held_out, records = trained.config, HeldOut(trained), probed(trained)
    if config.probe.stage == "finetune":
        return records
    world, packed = World.of(config), held_out.packed
    parents = (trained.params_of("finetune"),) if config.lesson.teacher == "finetuned" else ()

    def followed(seed: Array, parents: Parents) -> Array:
        prompts = lesson(config, seed, teacher(config, seed, parents))
        asked = world.skills(seed).tables[prompts.instruction[:, None], prompts.xs]  # English words are concepts
        taught = (prompts.instruction[:, None] >= 0) & (jnp.arange(config.prompts.length) >= config.lesson_start)[None]
        return jnp.sum(taught & (prompts.ys == asked)) / jnp.sum(taught)

    shares = np.asarray(packed.program(followed)(packed.seeds, parents), np.float64)
    return records + held_out.records(shares, quantity="followed")


def conclude(results: Results) -> list[Claim]:
    """Claims that a student gains, over the pretrained network and over the control; then claims of recovery."""
    direct, students = (results.where(probe__stage=stage) for stage in ("finetune", "student"))
    claims: list[Claim] = []
    for labels, part in students.groups("lesson.teacher", "lesson.farthest"):
        name = "{}, the farthest {:.0%}".format(TEACHERS[labels["lesson.teacher"]], labels["lesson.farthest"])
        control = students.where(lesson__teacher=CONTROL, lesson__farthest=labels["lesson.farthest"])
        rises = {f: as_text(over_seeds(mean_of_ranges(part, "change", family=f))) for f in FORGOTTEN}
        forgotten = ", ".join(f"{rises[family]} {where}" for family, where in FORGOTTEN.items())
        followed = as_text(part.estimate(quantity="followed"))
        for family, where in WHERE.items():
            gain, usual, by_truth = (-mean_of_ranges(of, "change", family=family) for of in (part, direct, control))
            further = over_seeds(gain - by_truth)
            part_of = as_text(share(gain, usual) or UNDEFINED)
            numbers = (
                f"gain {as_text(over_seeds(gain))}, {part_of} of the direct one; more than the "
                f"control by {as_text(further)}; forgetting {forgotten}; {followed} of the answers as instructed"
            )
            effects = [over_seeds(gain), further] if labels["lesson.teacher"] != CONTROL else []
            told = "the student follows instructions" if effects else "how far the student follows instructions"
            claims.append((f"{name}: {told} {where}", effects, numbers))
        if effects:
            claims += beyond_null(part, name, TRANSLATED)
    return claims


def lessons(*fractions: float) -> list[Record]:
    """Direct instruction tuning, then every teacher with each fraction of the documents kept."""
    students: list[Record] = [
        {"probe.stage": "student", "lesson.teacher": teacher, "lesson.farthest": fraction}
        for teacher in TEACHERS
        for fraction in fractions
    ]
    return [{"probe.stage": "finetune"}, *students]


STAGES = ("pretrain", "finetune", "scratch", "student")
VARIANTS = {"smoke": lessons(1.0), "laptop": lessons(1.0, 0.25), "paper": lessons(1.0, 0.25)}
EXPERIMENT = Experiment("language_lessons", VARIANTS, measure, conclude, STAGES, world="language")

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
