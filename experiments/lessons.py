"""Does a student learn the discrete tasks from a teacher's answers to other prompts, none of which shows them?

    python experiments/lessons.py --scale smoke|laptop|paper

Non-instructional fine-tuning: a teacher answers the later labels of Gaussian prompts, from what it has answered
before, plus label noise; the student is the pretrained network, trained on these answers alone by the recipe of fine-
tuning, of which nothing was chosen anew. Teachers: the network fine-tuned on the discrete set, exact Bayes under that
set, and the control, whose answers are the prompts' own labels. The filter keeps the prompts farthest from the
discrete set by the exact evidence of all labels, the teacher's too. Every student is compared with that of the true
labels after as many prompts with the same filter and cut, seed by seed; the same filter is the same fraction, since
what is kept differs with the answers. Direct fine-tuning sees 25600 fresh prompts, a student its 4096 again and again,
and where half of the labels are as drawn no early position is trained: what it gains there, it infers. Since the
control moves away from the set, a skill is gained, and a capability forgotten, only against the pretrained network as
well.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace

from experiment import SCALES, main

from implicit_inference.measure.formulas import Estimate, over_seeds, ratio
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text, listed
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.headline import headline, mean_of_ranges, prior_difference, summary
from implicit_inference.study.measurements import RANGES, log_odds
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained
from implicit_inference.training.stages import stage_of

TEACHERS, CONTROL = {"finetuned": "the fine-tuned network", "bayes": "exact Bayes"}, "truth"
NO_LESSON: Record = dict.fromkeys(("lesson.teacher", "lesson.prompts", "lesson.farthest", "lesson.as_drawn"))
"""The labels of direct fine-tuning, and of the discrete prompts that it shows."""
QUANTILES = {"lowest hundredth": 0.01, "median": 0.5, "closest": 1.0}


def variants(*fewer: int) -> list[Record]:
    """For every teacher the base lesson, and what differs from it in one way: fewer prompts, a filter, another cut."""
    ways = {"prompts": fewer, "farthest": (0.5, 0.25), "as_drawn": (0.25, 0.75)}
    lessons: list[Record] = [{}, *({f"lesson.{name}": value} for name, values in ways.items() for value in values)]
    return [{"lesson.teacher": teacher} | lesson for teacher in (*TEACHERS, CONTROL) for lesson in lessons]


def measure(trained: Trained) -> list[Record]:
    """The headline of the student; quantiles of the log odds of its lesson. Once: the same of direct fine-tuning."""
    held_out, student = HeldOut(trained), stage_of(trained.config, "student")
    lesson = held_out.packed.program(student.source)(held_out.packed.seeds, trained.parent_params(student))
    records = headline(trained, "student") + log_odds(held_out, lesson, QUANTILES.values())
    if trained.config in [replace(scale, seeds=trained.config.seeds) for scale in SCALES.values()]:
        direct = headline(trained) + log_odds(held_out, held_out.batch("discrete").prompts, QUANTILES.values())
        records += [record | NO_LESSON for record in direct]
    return records


def in_words(part: Results) -> str:
    """The headline, and how close to the set what was shown is."""
    odds = listed(part, QUANTILES, by="quantile", quantity="log_odds")
    return f"{summary(part)}; log odds of the prompts shown: {odds}"


def claims(results: Results, teacher: str, lesson: Record, base: bool) -> Iterator[Claim]:
    """Claims about one lesson: the skill; for the base lesson also its side effects."""
    part, control = (results.where(**{"lesson.teacher": name}, **lesson) for name in (teacher, CONTROL))
    subject, further = f"{TEACHERS[teacher]}, {title(lesson)}", prior_difference(part, control)

    def beyond(quantity: str) -> tuple[Estimate, Estimate]:
        """Over the pretrained network, and over the control."""
        values = mean_of_ranges(part, quantity)
        return over_seeds(values), over_seeds(values - mean_of_ranges(control, quantity))

    gain, forgotten = beyond("gain"), beyond("forgetting")
    share = ratio(mean_of_ranges(part, "gain"), mean_of_ranges(results.where(**NO_LESSON), "gain"))
    numbers = f"gain {as_text(gain[0])}, {as_text(share)} of the direct one; more than the control by "
    yield f"{subject}: the student gains the skill", gain, f"{numbers}{as_text(gain[1])}; {in_words(part)}"
    if base:
        numbers = f"further than the control's by {as_text(further)}"
        yield f"{subject}: its prior odds move to the set", [further], numbers
        numbers = f"{as_text(forgotten[0])}; more than the control by {as_text(forgotten[1])}"
        yield f"{subject}: it forgets", forgotten, numbers
        for where in RANGES:
            net = part.estimate(quantity="net_of_pretrained", range=where)
            numbers = f"net of the pretrained network {as_text(net)}"
            yield f"{subject}: scaled labels bring that back, {where}", [net], numbers


def title(lesson: Record) -> str:
    """Names a lesson in few words."""
    return "{} prompts, the farthest {:.0%}, cut at {:.0%}".format(*lesson.values())


def conclude(results: Results) -> list[Claim]:
    lessons = [labels for labels, _ in results.given("lesson.teacher").groups(*list(NO_LESSON)[1:])]
    found: list[Claim] = [("direct fine-tuning on the discrete set", [], in_words(results.where(**NO_LESSON)))]
    for teacher in TEACHERS:
        for lesson in lessons:
            found += claims(results, teacher, lesson, lesson == lessons[0])
    controls = results.where(**{"lesson.teacher": CONTROL})
    return found + [(f"control, {title(lesson)}", [], in_words(controls.where(**lesson))) for lesson in lessons]


VARIANTS = {"smoke": variants(128), "laptop": variants(128, 512), "paper": variants(1024, 5120)}
EXPERIMENT = Experiment("lessons", VARIANTS, measure, conclude, ("pretrain", "finetune", "student"), seeds=4)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
