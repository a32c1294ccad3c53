"""A probe's results, one after the other: the terminal shows the first ones, the page all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from implicit_inference.measure.formulas import RANGES
from implicit_inference.measure.lookup import IDENTITY, SHRUNK, Case, Table, estimated
from implicit_inference.measure.summary import summary_of
from implicit_inference.runs.store import Run, interpreted
from implicit_inference.show.notation import Notation, estimate

COLUMNS = ("quantity", "prompts", "predictor", "conjugation", *RANGES)
"""The columns of a result as text"""


@dataclass(frozen=True)
class Result:
    """One quantity by range of positions; all but `values` are words."""

    quantity: str
    prompts: str
    predictor: str
    conjugation: str
    values: dict[str, Any]
    """range -> estimate; a range may be missing"""
    section: str = ""
    """Heading among the numbers to look at first; empty for all others"""

    def cells(self) -> tuple[str, ...]:
        """The result as text, COLUMNS: numbers as mean ± standard error over seeds."""
        return (self.quantity, self.prompts, self.predictor, self.conjugation, *map(self.text, RANGES))

    def text(self, where: str) -> str:
        """The estimate over a range, as text; nothing where there is none."""
        return estimate(self.values[where]) if where in self.values else ""


PARTS = {
    "forgetting": "rise of the distance to exact Bayes",
    "on_line": "rise of the distance on the line",
    "off_line": "rise of the distance off the line",
    "share": "on the line / whole rise",
    "odds": "of the account: by the odds",
    "weight": "of the account: by the weight of evidence",
}
"""Part of the attribution -> its name"""

CHOSEN = {
    "mean": "recovered fraction",
    "net_of_pretrained": "net recovery",
    "above_shrink_only": "net recovery above shrinking alone",
    "net_by_null": "net recovery by a constant pull (null)",
    "gate_closed": "gap of the gates closed",
}
"""Part of the recovery at the chosen strength -> its name"""

NUMBERS = {"odds": "prior log odds", "weight": "weight of the evidence"}
"""Number of an account -> its name"""

DEFINITIONS = {
    "loss": "The mean distance of the predictions from the truth, over held-out prompts.",
    "forgetting": "The loss after fine-tuning minus the loss before, on the forgotten family's prompts.",
    "gain": "The loss before fine-tuning minus the loss after, on prompts of what fine-tuning shows.",
    "recovered fraction": "The share of the forgetting that is undone under a conjugation.",
    "net recovery": "The recovered fraction, net of what the conjugation does to the network before.",
    "net recovery above shrinking alone": "What is left of it once the best change of the predictions alone is taken "
    "off, which leaves the prompt as it is.",
    "net recovery by a constant pull (null)": "What a network would show that is pulled towards the preferred "
    "family's answer by the same weight whatever the prompt: no evidence is used.",
    "gap of the gates closed": "The gate is the weight of the preferred family in the predictions. This is the share "
    "that a conjugation undoes of its change.",
    "recovered, predicted": "The recovered fraction of exact Bayes with the prior odds that best imitate the networks.",
    "net recovery, predicted": "What an account of the fine-tuning says, as a fraction of the forgetting it says.",
    "rise of the distance on the line": "The part of the forgetting that is a wrong weight of the two exact "
    "predictors: the task was inferred differently.",
    "rise of the distance off the line": "The part that no weight of the two explains: the capability has changed.",
    "prior log odds, before": "With the weight of the evidence, the gate of an account: the odds before any exemplar.",
    "weight of the evidence, before": "How much a network trusts what the exemplars say; 1 for an ideal learner.",
    "R² of an account": "The share of the change of the predictions that an account explains on unseen prompts.",
    "effective prior, log odds": "The prior odds under which exact Bayes is nearest to a network; median and range.",
}
"""Quantity of `results` -> its definition"""

BOTH = "both"


def results_of(run: Run) -> list[Result]:
    """Lists all results of a finished probe. Raises StoreError, which names the file that cannot be read."""
    summary, config, records = summary_of(run), run.config(), run.read_table("table.parquet")
    with interpreted(run.path("table.parquet")):
        return results(Table(records, config), summary)


def results(table: Table, summary: dict[str, Any]) -> list[Result]:
    """Lists all results of a probe from its table and summary, those to look at first with their section."""
    names, world = Notation.of(table.config), table.world
    forgotten = names.family(world.forgotten)

    def result(quantity: str, values: Any, predictor: str = table.after, case: Case = IDENTITY) -> Result:
        return Result(quantity, forgotten, names.predictor(predictor), names.conjugation(*case), values)

    def loss(family: str, predictor: str, case: Case = IDENTITY) -> Result:
        curve = table.curve(predictor, family, case)
        values = {where: estimated(table.averaged(curve, where)) for where in RANGES}
        return replace(result("loss", values, predictor, case), prompts=names.family(family))

    def losses() -> Iterator[Result]:
        for family in summary["loss"]:
            section = "" if family in world.elsewhere else f"{names.family(family)} prompts"
            for name in table.predictors():
                yield replace(loss(family, name), section=section)
        for case in table.cases()[1:]:
            for name in (*table.networks, *table.controls[1:], f"bayes_effective_{table.after}"):
                yield loss(world.forgotten, name, case)
        for name in table.networks:
            yield loss(world.forgotten, name, SHRUNK)
        yield result("forgetting", summary["forgetting"])
        gained = names.family(world.gain_family(table.config))
        yield replace(result("gain", summary["gain"]), prompts=gained)

    def recovery() -> Iterator[Result]:
        found = {where: summary["recovery"][where] for where in RANGES}
        strengths = {where: names.dial.label.format(part["strength"]) for where, part in found.items()}
        chosen = f"{names.dial.axis}, chosen ({', '.join(strengths[where] for where in ('early', 'late'))})"
        for part, label in CHOSEN.items():
            values = {where: here if part == "mean" else here[part] for where, here in found.items()}
            yield replace(result(label, values), conjugation=chosen, section=f"{forgotten} prompts, {chosen}")
        for name in table.networks:
            values = {where: summary["controls"][name][where]["conjugated"] for where in RANGES}
            title = f"loss, {names.predictor(name)}"
            yield replace(result(title, values, name), conjugation=chosen, section=f"{forgotten} prompts, {chosen}")
        for strength, at in summary["recovery"]["by_strength"].items():
            case = (world.dial, float(strength))
            yield result("recovered fraction", at, case=case)
            yield result("recovered, predicted", at["predicted"], "bayes_effective", case)
        for i, first in enumerate(summary["conjugations"]["all"]):
            moved = {where: summary["conjugations"][where][i] for where in RANGES}
            case = (first["conjugation"], first["strength"])
            yield result("net recovery", {w: part["net"] for w, part in moved.items()}, case=case)
            yield result("gap of the gates closed", {w: part["gate_closed"] for w, part in moved.items()}, case=case)
            for quantity, kind in (("net recovery", "controls"), ("net recovery, predicted", "predicted")):
                for name in first[kind]:
                    yield result(quantity, {w: part[kind][name] for w, part in moved.items()}, name, case)

    def attribution() -> Iterator[Result]:
        section = f"where the capability went, {forgotten} prompts"
        for part, label in PARTS.items():
            values = {where: summary["attribution"][where][part] for where in RANGES}
            yield replace(result(label, values), section="" if part in ("odds", "weight") else section)
        for name in summary["accounts"]["all"]:
            fits = {where: summary["accounts"][where][name] for where in RANGES}
            yield result("R² of an account", {w: fit["r2"] for w, fit in fits.items()}, name)
            yield result("forgetting that it says", {w: fit["forgetting"] for w, fit in fits.items()}, name)
            for number in fits["all"]["numbers"]:
                for when in ("before", "after"):
                    values = {w: fit["numbers"][number][when] for w, fit in fits.items()}
                    shown = replace(result(f"{NUMBERS.get(number, number)}, {when}", values, name), prompts=BOTH)
                    yield replace(shown, section=section if name == "prior_and_weight" else "")
            for number, label in (("slope", "slope"), ("r2", "R²")):
                values = {where: summary["calibration"][where][name][number] for where in RANGES}
                yield result(f"{label} of measured on predicted net recovery", values, name, ("all", None))
        for name, prior in summary["effective_prior"].items():
            yield replace(result("effective prior, log odds", {"all": prior["logit"]}, name), prompts=BOTH)
            yield replace(result("effective prior, residual", {"all": prior["residual"]}, name), prompts=BOTH)

    return [*losses(), *recovery(), *attribution()]
