"""Every figure from its stored table, and the page that shows them all: figures/README.md.

python figures/gallery.py [--scale laptop]     (make figures)
"""

import importlib
import sys

from figure import FIGURES

from implicit_inference.config.flags import Parser
from implicit_inference.runs import process
from implicit_inference.runs.files import write_whole
from implicit_inference.study.gallery import draw_all, page

ENTRIES = {
    "primary": (
        "primary",
        "The five claims of the paper, one number each: the effect beyond a benchmark.",
    ),
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
    "closeness_in_full": ("closeness", "The same in every world."),
    "between": ("closeness", "The rise of the loss from discrete tasks, over tasks between, to fresh ones."),
    "conjugation": ("conjugation", "Recovery and losses against the label scale, with the controls."),
    "positions": ("conjugation", "Recovery at every number of exemplars."),
    "other_conjugations": (
        "other_conjugations",
        "Other maps of a prompt, averages over a group, and choices per prompt.",
    ),
    "origin": (
        "origin",
        "What comes back against the share of the discrete set, beside the null and accounts of the fine-tuning.",
    ),
    "erasure": ("erasure", "Relearning after fine-tuning, ever harder: suppressed, or erased?"),
    "weight_path": ("weight_path", "The straight path of the weights, before and beyond both networks."),
    "splicing": ("splicing", "Parts of the pretrained network in the fine-tuned one."),
    "translation": ("translation", "In-context learning in English after instruction tuning, and translated."),
    "translation_controls": ("translation", "Forgetting by language, and what comes back of it, beside the controls."),
    "language_dose": ("language_dose", "What is forgotten and comes back, against steps of instruction tuning."),
    "language_averages": ("language_averages", "Permuted concepts and translations, one by one and averaged."),
    "rare_languages": (
        "rare_languages",
        "Dominance of English and rare languages: forgetting, recovery and prior odds by language.",
    ),
    "language_methods": ("language_methods", "Ways to tune for instructions in English, and what translation returns."),
    "language_lessons": (
        "language_lessons",
        "Students of a teacher's answers to fresh English documents: what they do in which language.",
    ),
    "language_control": ("language_control", "One control for instructions, one for exemplars, in two languages."),
    "anchors": ("anchors", "The dial from separate words to shared ones: losses by language, and what comes back."),
    "safety": ("safety", "A refusal taught in English or in all languages, and the same question translated."),
    "code_tuning": (
        "code_tuning",
        "Tuned on one skill without instructions: the others, and fresh tables, in English and translated.",
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
    "lessons_in_full": ("lessons", "The same against all that was varied, with what the students infer and get back."),
    "teachers": ("teachers", "Students of five teachers: what each gains and forgets, in six worlds of two networks."),
    "finetuning_prompts": ("finetuning_prompts", "How many fine-tuning prompts it takes before the effect appears."),
    "methods": (
        "methods",
        "The map: gain against forgetting for every way to fine-tune, and what label scaling brings back.",
    ),
    "control": ("control", "Control tokens: tuned on the frozen network first, or trained with it at once."),
    "model_size": ("model_size", "Networks of several sizes."),
    "task_diversity": ("task_diversity", "What comes back against the number of tasks in the discrete set."),
    "worlds": ("worlds", "What comes back in worlds nearer to the paper's."),
    "spread": ("spread", "Networks that share their tasks: the spread over seeds, between worlds and within them."),
    "nonlinear": ("nonlinear", "Tasks on a hidden layer of ReLU features."),
}
"""figure -> (experiment, what it shows)"""


INTRODUCTION = (
    "Scale: {scale}. `{command}` draws all of it from the tables in [data/{scale}]({tables}), without any "
    "training. The command beneath a figure writes its table anew.\n\n"
    "Losses are taken against the truth, not drawn labels: squared errors in regression, nats in languages; ± is one "
    "standard error over seeds. *Net recovery* is the share of the forgetting that a conjugation undoes, net of what "
    "it does to the pretrained network. The *null* is a constant pull towards the tasks that fine-tuning prefers: it "
    "uses no evidence. An *effect* is what lies beyond a benchmark, with its 95 % interval over seeds, in the unit of "
    "the claim's numbers. The [glossary]({glossary}) defines the words; *the paper* is arXiv:2309.10105. A claim is "
    "*supported* if the intervals of all its effects lie above 0, *refuted* if one lies below, else *undecided*; *not "
    "asked* is a description, whose numbers stand beside it. The five primary claims are corrected for their number "
    "(Holm); the others are not. Inferred log odds are medians, with the range over seeds: those of a network whose "
    "answers one family alone would give have no limit."
)


ANSWERS = {
    "primary": "Four of the paper's five claims hold here; that prompts most like the set are hurt most is undecided.",
    "single_distribution": "Trained on one task distribution alone, the network is exact Bayes within tolerance.",
    "tradeoff": "A larger share of the set costs Gaussian prompts and pays discrete ones, as for exact Bayes.",
    "forgetting": "Fine-tuning gains a little on the set and loses more on Gaussian prompts, whatever the share was.",
    "closeness": "It is undecided in the base world whether the closest prompts are hurt most; with eight inputs and "
    "four exemplars they are, with more tasks and eight exemplars they are not.",
    "conjugation": "Larger labels bring early forgetting back at every share, and late forgetting at larger ones.",
    "other_conjugations": "Averages over groups and scaled labels bring much back; one rotation or sign flip, nothing.",
    "origin": "Doubled labels bring back more than the null once the set was at least three tenths of pretraining.",
    "erasure": "Twenty steps of replay undo most of the usual forgetting, far more than of scratch; after long, hard "
    "fine-tuning they do not, and little of the gates' gap closes: then it is erased.",
    "weight_path": "Half a step back from fine-tuning, beyond the pretrained network, Gaussian prompts are answered "
    "better, unless the share was small.",
    "splicing": "The read-out hardly moved; the stream behind the first block carries about half of the forgetting.",
    "finetuning_sets": "Another set, too, makes the network forget, but then scaled labels bring nothing back.",
    "replay": "Every bit of replay reduces forgetting, and half of it costs a third of the gain.",
    "lessons": "Students of a fine-tuned network's answers to many prompts learn the skill none showed, and forget.",
    "teachers": "Most of the skill passes by answers alone: from a stranger, or from an exact account of its teacher, "
    "a student learns it too, if less than from its own network.",
    "finetuning_prompts": "Half of the effect is there after a few hundred to a few thousand prompts.",
    "methods": "Every way to fine-tune trades gain against forgetting, and doubled labels bring some back after each, "
    "with few exemplars at least.",
    "control": "Training the control alone first does not help: joint training controls more, at equal steps and even "
    "where the first stage has half as many steps in addition.",
    "model_size": "Networks of all four sizes forget, and get most of it back with few exemplars.",
    "task_diversity": "The more tasks in the set, the less comes back; from sixteen on nothing does at late positions.",
    "translation": "Instruction tuning in English costs in-context learning there alone, and translation brings that "
    "back. Where all languages were tuned alike, it brings back hardly anything.",
    "language_dose": "Whatever the dose, translation brings back all that was forgotten; permuted concepts bring back "
    "less, the larger the dose.",
    "language_averages": "One permutation changes nothing beyond chance, as it must; an average of eight brings back "
    "about two thirds. Averages over permutations also help a network that never had the capability; an average over "
    "languages brings back more, and does not help that one.",
    "anchors": "The more words languages share, the more forgetting spreads to the others, and the less translation "
    "brings back.",
    "rare_languages": "Whatever the share of English, tuning in English moves the prior odds there alone, and "
    "translation brings back nearly all that was forgotten.",
    "language_lessons": "Students of a tuned network's answers to new tables learn to follow instructions in English "
    "alone. Two fifths of these answers follow the instruction. In the fourth of the documents that looks least like "
    "known tables hardly any do, fewer than random answers would, and half of the gain of direct tuning is left.",
    "language_control": "Training the controls alone first controls less than joint training at equal steps, and never "
    "more where the first stage has half as many steps in addition.",
    "language_methods": "After full, low-rank and replayed tuning translation brings it back; a soft prompt in "
    "English also breaks the other languages. After tuning in all languages translation brings back hardly anything.",
    "safety": "A refusal taught in English hardly reaches a second language with words of its own, whose answer is "
    "still there; where words are shared it spreads. Taught long enough in all languages, it is in the second one, "
    "too.",
    "code_tuning": "Tuning on one skill in English costs in-context learning there first, the other skills only after "
    "many steps. Translated, both are there.",
    "spread": "With few exemplars almost all of the spread in gain and forgetting is that of the tasks; with many, no "
    "part of it is surely theirs.",
    "nonlinear": "Tasks on a hidden layer of ReLU features are forgotten and brought back like linear ones.",
}
"""experiment -> its answer at laptop scale, in a sentence"""

LARGER = {
    "workstation": {
        "worlds": "With sixteen tasks a part comes back, mostly more than by the null. With sixty-four little does, in "
        "larger networks that are still far from exact; with many exemplars doubled labels make it worse.",
    },
    "paper": {
        "origin": "By the paper's recipe the network is still far from exact Bayes after 5000 steps; in four seeds "
        "nothing surely comes back, and with many exemplars doubled labels make it worse.",
    },
}
"""scale -> experiment -> its answer there"""

DEVICES = {
    ("workstation", "worlds"): "Trained and measured on one GPU, with jax 0.11.2: an NVIDIA H100 80GB HBM3 where there "
    "are sixteen tasks, an NVIDIA H200 where there are sixty-four.",
    ("paper", "origin"): "Trained and measured on one NVIDIA H100 80GB HBM3, with jax 0.11.2. The scratch control was "
    "trained for 1000 steps, a fifth of those of pretraining.",
}
"""(scale, experiment) -> where its table was made, if not on a CPU"""

FOLDED = {"closeness_in_full", "lessons_in_full", "positions"}
"""Figures that the page folds away"""


def main() -> int:
    parser = Parser(
        prog="figures/gallery.py", allow_abbrev=False, description="Draws every figure from its stored table."
    )
    parser.add_argument("--scale", choices=("smoke", "laptop", "workstation", "paper"), default="laptop")
    return process.run("figures/gallery.py", lambda: draw(parser.parse_args().scale))


def draw(scale: str) -> int:
    """Draws every figure that has a table of this scale, and writes the page about them."""
    drawn = draw_all(ENTRIES, lambda name: importlib.import_module(name).draw, FIGURES, scale)
    if drawn:
        top = scale == "laptop"
        out = FIGURES / ("README.md" if top else f"{scale}/README.md")
        pictures, tables = (f"{scale}/", f"data/{scale}") if top else ("", f"../data/{scale}")
        introduction = INTRODUCTION.format(
            scale=scale,
            tables=tables,
            glossary="../docs/glossary.md" if top else "../../docs/glossary.md",
            command="make figures" if top else f"python figures/gallery.py --scale {scale}",
        )
        notes = {experiment: device for (of, experiment), device in DEVICES.items() if of == scale}
        answers = ANSWERS if top else LARGER.get(scale, {})
        text = page(ENTRIES, drawn, FIGURES / "data" / scale, pictures, introduction, answers, notes, FOLDED)
        write_whole(out, text.encode())
        print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
