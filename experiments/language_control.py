"""Does one network follow instructions under one control and exemplars under another, in which languages?

    python experiments/language_control.py --scale smoke|laptop|paper

Control tokens as in control.py: a control for instructions stands for known tables (alpha 1), one for in-context
learning for fresh ones (alpha 0), in all languages. Stage 1 trains the controls on the frozen network, stage 2 controls
and network together; the steps of both add up to the same number, from joint training to stage 1 alone, or stage 1
comes in addition to the steps of joint training, half as many more. Plain fine-tuning sees the same documents without
any control. Controllability is the loss under the wrong control less that under the right one, averaged over known and
fresh tables, in English and in the second language; that of exact Bayes stands beside it.

Rates were chosen on seeds 100 and 101 by the loss under the right control in both languages, each where its neighbours
in steps of two to five do no better: for stage 1 alone, for joint training, and for stage 2 after stage 1, in halves.
Those of laptop scale are taken at paper scale, too. They were chosen when a refusal was one more table, not named by
any instruction; since then a twentieth of known documents refuse whatever is asked.
"""

import sys

from experiment import LANGUAGES, main

from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, listed
from implicit_inference.study.controllability import (
    ADDED,
    ALONE,
    HALVES,
    JOINT,
    against_joint,
    controllability,
    two_stages,
)
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES
from implicit_inference.study.results import Results

GRADES = (0.0, 1.0)
PARTS = dict.fromkeys(("laptop", "paper"), (JOINT, HALVES, ALONE, ADDED)) | {"smoke": (JOINT, HALVES, ADDED)}
"""Steps of both stages, as parts of those of joint training, by scale; at smoke scale, of soft prompts alone"""
CHOSEN = {"soft_prompt": (1e-2, 2e-2, 5e-3), "lora": (3e-2, 2e-2, 5e-3)}
"""Learning rates of stage 1, of joint training, and of stage 2 after stage 1, by what a control is"""
MEASURED = {"controllability": "more controllability than joint", "right_loss": "less loss under the right control"}
PLACES = {"": "in English", "_elsewhere": "in the second language"}
STAGES = ("pretrain", "finetune", "tune", "steer")
STEPS = ("tune.steps", "steer.steps")


def variants(scale: str) -> list[Record]:
    """Every split for soft prompts and for low-rank additions; plain fine-tuning at the rate of joint training."""
    base, found = LANGUAGES[scale].steer, list[Record]()
    for method, (first, jointly, after) in list(CHOSEN.items())[: 1 if scale == "smoke" else None]:
        plain = {"discrete_prob": 0.5, "batch": len(GRADES) * base.batch, "target": base.target, "steps": base.steps}
        plain |= {"optimizer": base.optimizer, "learning_rate": jointly, "warmup": min(20, base.steps // 4)}
        usual = {"control.grades": GRADES, "control.adapt.method": method}
        usual |= {f"finetune.{name}": value for name, value in plain.items()}
        rates = {parts: (first, jointly if parts == JOINT else after) for parts in PARTS[scale]}
        found += [usual | two_stages(base.steps, parts, pair) for parts, pair in rates.items()]
    return found


def in_words(part: Results, where: str) -> str:
    """Controllability and the loss under the right control, of the network and of exact Bayes; what is forgotten."""
    names = {f"{name.replace('_', ' ')} {text}": name + place for name in MEASURED for place, text in PLACES.items()}
    network, exact = (listed(part, names, predictor=of, range=where) for of in ("controlled", "ideal"))
    rises = {"under the right control": "controlled", "without any": "uncontrolled", "plain fine-tuning": "plain"}
    rise = listed(part, rises, by="predictor", quantity="rise", family="fresh", range=where)
    return f"{network}; exact Bayes: {exact}; rise on fresh tables {rise}"


def conclude(results: Results) -> list[Claim]:
    """Claims about stage 1 first, in halves and in addition, against joint training; then all are described."""
    total, claims = max(results.levels("steer.steps")), list[Claim]()
    for method in results.levels("control.adapt.method"):
        groups, name = results.where(control__adapt__method=method).groups(*STEPS), method.replace("_", " ")
        of = {tuple(labels[steps] / total for steps in STEPS): part for labels, part in groups}
        gains = {name + place: f"{gain}, {text}" for place, text in PLACES.items() for name, gain in MEASURED.items()}
        claims += against_joint(name, of, gains)
        for where in RANGES:
            for (first, second), part in of.items():
                text_of_parts = f"{name}, {first:.0%} of the steps in stage 1, {second:.0%} in stage 2, {where}"
                claims.append((text_of_parts, [], in_words(part, where)))
    return claims


VARIANTS = {scale: variants(scale) for scale in LANGUAGES}
EXPERIMENT = Experiment("language_control", VARIANTS, controllability, conclude, STAGES, world="language")

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
