"""How do the dominance of English and the rareness of a language change forgetting and recovery by translation?

    python experiments/rare_languages.py --scale smoke|laptop|paper

Four languages, from even ones to 90 % English; the fourth is the rarest, the second and third share the rest. English
documents are translated into the second language and into the fourth. Measured and claimed as in translation.py.

Beside the null stands what prior odds alone predict: exact Bayes with the log odds that were fitted to the network in
each language, before and after. A language's odds are those of the account `prior_shift`, on prompts in that language.
"""

import sys

from experiment import main

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.runs.store import Record
from implicit_inference.study.claims import Claim, as_text
from implicit_inference.study.experiment import Experiment
from implicit_inference.study.measurements import RANGES
from implicit_inference.study.probed import ODDS_ALONE, beyond_null, net, odds_by_case, probed, rises
from implicit_inference.study.results import Results
from implicit_inference.training.loop import Trained

SPOKEN = ((0.25, 0.25, 0.25, 0.25), (0.5, 0.23, 0.23, 0.04), (0.7, 0.14, 0.14, 0.02), (0.9, 0.045, 0.045, 0.01))
LADDER: list[Record] = [{"tasks.languages": spoken, "probe.translations": (2.0, 4.0)} for spoken in SPOKEN]
MOVES = {
    "translations into the second language": ("translation", 2.0),
    "translations into the rarest": ("translation", 4.0),
}
CASES = {"in English": ("identity", None), "in the second language": MOVES["translations into the second language"]}
CASES |= {"in the rarest": MOVES["translations into the rarest"]}


def measure(trained: Trained) -> list[Record]:
    """The probe's rows; prior odds by language, and what they alone predict."""
    return probed(trained) + odds_by_case(trained, MOVES.values())


def conclude(results: Results) -> list[Claim]:
    """Claims of recovery in either language; then forgetting and odds by language, and what the odds predict."""
    claims: list[Claim] = []
    for labels, part in results.groups("tasks.languages"):
        name = f"{labels['tasks.languages'][0]:.0%} English"
        claims += beyond_null(part, name, MOVES)
        for where in RANGES:
            texts = list[str]()
            for language, case in CASES.items():
                rise, alone = (rises(part, where, predictor, case)[1] for predictor in ("finetuned", ODDS_ALONE))
                cell = {"quantity": "odds", "range": where, "conjugation": case[0], "strength": case[1]}
                odds = [as_text(part.estimate(**cell, predictor=of)) for of in ("pretrained", "finetuned")]
                texts.append(
                    f"{language} forgetting {as_text(over_seeds(rise))}, by odds alone {as_text(over_seeds(alone))}, "
                    f"log odds {odds[0]} to {odds[1]}"
                )
            nets = [f"{move} {as_text(net(part, where, ODDS_ALONE, case))}" for move, case in MOVES.items()]
            claims.append(
                (f"{name}, {where}: odds by language", [], "; ".join([*texts, f"net by odds: {', '.join(nets)}"]))
            )
    return claims


STAGES = ("pretrain", "finetune", "scratch")
VARIANTS = {"smoke": [LADDER[0], LADDER[-1]], "laptop": LADDER, "paper": LADDER}
EXPERIMENT = Experiment("rare_languages", VARIANTS, measure, conclude, STAGES, world="language")

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
