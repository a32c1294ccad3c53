"""How names are written: the one map from the names in tables and configurations to labels, symbols and colours."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from implicit_inference.config.errors import counted
from implicit_inference.config.fields import Config
from implicit_inference.worlds import Description, Move, described

BLACK, ORANGE, SKY, GREEN, BLUE, RED, PURPLE, GREY = (
    "#000000",
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#8c8c8c",
)
"""The colour-blind-safe palette of Okabe and Ito (2008)."""


@dataclass(frozen=True)
class Look:
    """How one predictor is named and drawn, everywhere."""

    label: str
    colour: str
    line: str = "-"
    marker: str = ""


LOOKS = {
    "pretrained": Look("pretrained", BLUE),
    "finetuned": Look("fine-tuned", RED),
    "student": Look("student", RED),
    "steered": Look("steered", RED),
    "scratch": Look("scratch (fine-tuning tasks only)", PURPLE),
    "bayes_pretraining": Look("exact Bayes, pretraining prior", BLACK, "--"),
    "bayes_finetuning": Look("exact Bayes, fine-tuning prior", ORANGE, "--"),
    "bayes_effective_pretrained": Look("exact Bayes, effective prior before", BLUE, "--"),
    **{
        f"bayes_effective_{after}": Look("exact Bayes, effective prior after", RED, "--")
        for after in ("finetuned", "student", "steered")
    },
    "oracle": Look("oracle (knows the task)", GREY, ":"),
    "shrink_only": Look("fine-tuned, shrunk only", GREY, "-."),
    "bayes_effective": Look("exact Bayes with the effective priors", BLACK, "--"),
    "network": Look("network", BLUE),
    "ideal": Look("ideal learner with the inferred prior odds", BLACK, "--"),
    "damaged_norm": Look("pretrained, damaged at random: by the norm of the change", GREY),
    "damaged_rise": Look("pretrained, damaged at random: by the rise of the loss", GREY, "--"),
    "uninformed": Look("uninformed (sees no exemplars)", GREY, ":"),
    "constant_pull": Look("null: constant pull, no evidence used", GREY, "-."),
    "prior_shift": Look("account: prior odds shifted", BLACK, "--"),
    "prior_and_weight": Look("account: prior odds and weight of evidence", BLUE, "--"),
    "lapse": Look("account: lapses", ORANGE, "--"),
}

SYMBOLS = {
    "prompts.length": "K",
    "pretrain.discrete_prob": "α",
    "pretrain.steps": "pretraining steps",
    "finetune.discrete_prob": "α (fine-tuning)",
    "finetune.batch": "batch",
    "finetune.replay": "replayed fraction",
}
"""field of any world's configuration -> its symbol"""

RANGES = {"all": "all positions", "early": "early positions", "late": "late positions"}


@dataclass(frozen=True)
class Notation:
    """The names of one world, for people."""

    world: Description

    @classmethod
    def of(cls, config: Config) -> "Notation":
        """The notation of a configuration's world."""
        return cls(described(config.world))

    @property
    def loss(self) -> str:
        """The label of an axis with losses."""
        return self.word("loss")

    @property
    def dial(self) -> Move:
        """The conjugation whose strength is chosen."""
        return self.world.moves[self.world.dial]

    def word(self, key: str) -> str:
        """The world's word for a family, a predictor or a field; the key itself where there is none."""
        return self.world.words.get(key, key.replace("_", " "))

    def look(self, predictor: str) -> Look:
        """The look of a predictor; one without an entry goes by its name."""
        exact = dict(zip((self.world.exact[family] for family in self.world.families), (ORANGE, GREEN), strict=True))
        if predictor in exact:
            return Look(self.word(predictor), exact[predictor], ":")
        return LOOKS.get(predictor, Look(predictor.replace("_", " "), GREY))

    def conjugated(self, strength: float) -> Look:
        """The look of the network after, under the dial's conjugation."""
        return Look(f"after, {self.dial.label.format(strength)}", SKY)

    def predictor(self, name: str) -> str:
        """The label of a predictor."""
        return self.look(name).label

    def family(self, name: str) -> str:
        """The label of a family of prompts."""
        return {"finetuning": "fine-tuning"}.get(name, self.word(name))

    def conjugation(self, name: str, strength: float | None = None) -> str:
        """`label_scale`, 2 -> `labels × 2`; one without an entry goes by its name."""
        plain = {"identity": "as they are", "shrink_only": "predictions shrunk only"}
        plain["choice"] = f"least {self.family(self.world.preferred)} of several, for each past"
        if name in self.world.moves:
            text = self.world.moves[name].label
        else:
            text = plain.get(name, name.replace("_", " ") + ("" if strength is None else " {:g}"))
        return text if strength is None else text.format(strength)

    def symbol(self, path: str) -> str:
        """The symbol of a field of the configuration, or its path."""
        return SYMBOLS.get(path, self.world.words.get(path, path))

    def field(self, path: str) -> str:
        """`tasks.dim` -> `d (tasks.dim)`; fields without a symbol go by their path."""
        symbol = self.symbol(path)
        return f"{symbol} ({path})" if symbol != path else path


def bins(edges: tuple[float, ...]) -> list[str]:
    """The names of the half-open bins between edges, open at both ends."""
    inner = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"< {edges[0]:g}", *inner, f"≥ {edges[-1]:g}"]


def estimate(value: dict[str, Any]) -> str:
    """mean ± stderr, as text; of log odds, the median and the range over seeds, and how many of them have no limit."""
    if value["mean"] is None:
        return "undefined"
    if "median" in value:
        of_all = f"; no limit in {value['unlimited']} of {counted(value['seeds'], 'seed')}"
        unlimited = of_all if value["unlimited"] else ""
        return f"{value['median']:.2f} ({value['lowest']:.2f} to {value['highest']:.2f}{unlimited})"
    return mean_text(value["mean"], math.nan if value["stderr"] is None else value["stderr"])


def mean_text(mean: float, stderr: float, digits: int = 3) -> str:
    """`1.000 ± 0.100`; the mean alone where it has no standard error."""
    return f"{mean:.{digits}f}" + (f" ± {stderr:.{digits}f}" if math.isfinite(stderr) else "")


def spread(seeds: int, drawn: str) -> str:
    """Says what is drawn around a mean over seeds, which has no standard error where there is one seed."""
    return f"; {drawn}: ± 1 standard error over seeds" if seeds > 1 else ""
