"""A whole experiment as one value: every knob with its default and allowed range, in sections. No jax here."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from implicit_inference.config.errors import refuse
from implicit_inference.config.stages import Probed
from implicit_inference.worlds import WORLDS, described


def knob(default: Any, text: str, **allowed: Any) -> Any:
    """Declares a field with its documentation and its allowed values: a range, or `choices` of names.

    `least` <= x <= `most`; `above` < x; `smallest`: the least magnitude of a number that is not 0. The ends are those
    of float32 and of what a compiled program can index: beyond them the arithmetic gives no numbers.
    """
    return field(default=default, metadata={"about": text, **allowed})


STD = {"above": 0, "most": 1e6, "smallest": 1e-6}
FACTOR = {"least": -1e4, "most": 1e4, "smallest": 1e-4}


def require_distinct(path: str, values: tuple[int | float, ...], least: int = 1) -> None:
    """Raises ConfigError for a list with fewer than `least` (0 to 2) values, or with one of them twice."""
    if len(values) < least or len(set(values)) < len(values):
        how_many = {0: "", 1: "at least one, ", 2: "at least two, "}[least]
        refuse(path, list(values), f"{how_many}each once")


@dataclass(frozen=True)
class ModelConfig:
    """The decoder transformer."""

    width: int = knob(32, "width of the residual stream", least=1, most=2**15)
    layers: int = knob(4, "number of blocks", least=1, most=1024)
    heads: int = knob(4, "attention heads; divides the width", least=1, most=2**15)
    compute_dtype: Literal["float32", "bfloat16"] = knob("float32", "type of activations; parameters stay float32")

    def check(self, path: str) -> None:
        """Raises ConfigError for values that do not go together."""
        if self.width % self.heads:
            refuse(f"{path}.heads", self.heads, f"a divisor of {path}.width ({self.width})")


MOST_STEPS = 10**9
MOST_PROMPTS = 10**8


@dataclass(frozen=True)
class TrainingConfig:
    """One stage of training: what is drawn, what is learned from it, how."""

    steps: int = knob(3000, "optimiser steps; 0 only where controls train", least=0, most=MOST_STEPS)
    batch: int = knob(64, "prompts in a step, of each control where there are any", least=1, most=2**20)
    discrete_prob: float = knob(
        0.5, "alpha, probability that a task is from the family that fine-tuning prefers", least=0, most=1
    )
    tasks: Literal["discrete", "other", "narrow", "english", "evenly", "refusal", "refusal_evenly", "code"] = knob(
        "discrete",
        "in fine-tuning, what stands for the preferred family: itself; in regression another set of its size, or "
        "N(0, s^2 I); in language itself in English alone or in all languages evenly, one skill refused, in English or "
        "evenly, or one skill without instruction",
    )
    n_tasks: int = knob(0, "in fine-tuning, only the first so many tasks of the set; 0 = all", least=0, most=10**6)
    narrow_std: float = knob(0.5, "s, standard deviation of every weight of the narrow Gaussian", **STD)
    replay: float = knob(
        0.0, "in fine-tuning, the fraction of prompts drawn from the pretraining distribution", least=0, most=1
    )
    penalty: Literal["none", "weights", "predictions"] = knob(
        "none", "in fine-tuning, what is added to the loss: the squared distance of the weights, or of the predictions"
    )
    strength: float = knob(1.0, "lambda, the factor of the penalty", least=0, most=1e6, smallest=1e-6)
    keep_every: int = knob(
        0, "keep the parameters at every so-manieth evaluation too; 0 = only the last", least=0, most=MOST_STEPS
    )
    target: Literal["label", "truth", "bayes"] = knob(
        "bayes", "learn the label, its mean given the task, or given the past alone: one minimiser, falling variance"
    )
    optimizer: Literal["adam", "adamw", "muon"] = knob(
        "muon", "update rule (muon: block matrices; the rest adam at a tenth of the rate)"
    )
    learning_rate: float = knob(2e-2, "peak learning rate", above=0, most=100, smallest=1e-8)
    warmup: int = knob(100, "steps of linear warm-up; fewer than steps", least=0, most=MOST_STEPS)
    final_fraction: float = knob(0.02, "the cosine ends at this fraction of the peak; 1 = constant", least=0, most=1)
    weight_decay: float = knob(0.0, "decoupled weight decay (adamw, muon)", least=0, most=10, smallest=1e-8)
    clip: float = knob(1.0, "largest global norm of a gradient", above=0, most=1e6, smallest=1e-3)

    def check(self, path: str) -> None:
        """Raises ConfigError for values that do not go together, or that the stage of this name has not."""
        if not self.steps and path not in ("tune", "steer"):
            refuse(f"{path}.steps", 0, "a whole number >= 1")
        if self.warmup >= self.steps > 0:
            refuse(f"{path}.warmup", self.warmup, f"less than {path}.steps ({self.steps})")
        if self.weight_decay and self.optimizer == "adam":
            refuse(f"{path}.weight_decay", self.weight_decay, "0 with adam; adamw decays")
        if path == "finetune":
            return
        for name in FINETUNING_ONLY:
            value, default = getattr(self, name), getattr(TrainingConfig, name)
            if value != default:
                refuse(f"{path}.{name}", value, f"{default!r}; only fine-tuning has another")
        if path != "pretrain" and self.discrete_prob != 1:
            refuse(f"{path}.discrete_prob", self.discrete_prob, "1; lessons and preferences say what is shown")
        if path == "student" and self.target != "label":
            refuse("student.target", self.target, "'label', what the teacher answered")


FINETUNING_ONLY = ("tasks", "n_tasks", "narrow_std", "replay", "penalty", "strength")


@dataclass(frozen=True)
class AdaptConfig:
    """Which part of a network trains."""

    method: Literal["full", "head", "layers", "values", "lora", "soft_prompt"] = knob(
        "full", "what trains: all, the read-out, some blocks, attention's values, low-rank additions, a soft prompt"
    )
    layers: tuple[int, ...] = knob((0,), "blocks that train, counted from 0 (layers)", least=0, most=1023)
    rank: int = knob(2, "r of the low-rank additions (lora)", least=1, most=2**15)
    targets: Literal["attention", "mlp", "all"] = knob("all", "matrices with low-rank additions (lora)")
    prompt_length: int = knob(4, "vectors of the soft prompt (soft_prompt)", least=1, most=10**4)

    def check(self, path: str) -> None:
        """Raises ConfigError for a block that is named twice, or none."""
        require_distinct(f"{path}.layers", self.layers)


@dataclass(frozen=True)
class LessonConfig:
    """The lesson that a teacher shows its student: prompts of the forgotten family, whose later labels it answers."""

    teacher: Literal["finetuned", "stranger", "account", "bayes", "truth"] = knob(
        "finetuned",
        "who answers: the fine-tuned network; that of another seed with the same tasks; exact Bayes with the odds and "
        "weight of evidence of the fine-tuned network; exact Bayes under the fine-tuning tasks; the task itself",
    )
    prompts: int = knob(4096, "prompts in the lesson", least=1, most=MOST_PROMPTS)
    as_drawn: float = knob(0.5, "the fraction of a prompt's labels that the teacher leaves as drawn", least=0, most=1)
    farthest: float = knob(
        1.0,
        "of the prompts drawn, the fraction shown, the farthest from the preferred family by exact evidence",
        above=0,
        most=1,
        smallest=1e-4,
    )


@dataclass(frozen=True)
class ControlConfig:
    """Controls, one for each preference: a preference is a mixture of the two families."""

    grades: tuple[float, ...] = knob(
        (0.0, 0.5, 1.0), "alpha of the mixture that each control stands for", least=0, most=1
    )
    adapt: AdaptConfig = AdaptConfig(method="soft_prompt")
    train: Literal["both", "network"] = knob("both", "what steering trains: controls and network, or the network alone")

    def check(self, path: str) -> None:
        """Raises ConfigError unless there are two grades or more, each once."""
        require_distinct(f"{path}.grades", self.grades, 2)
        self.adapt.check(f"{path}.adapt")


FINETUNE = TrainingConfig(steps=400, discrete_prob=1.0, target="label", optimizer="adam", learning_rate=2e-4, warmup=20)
STEER = replace(FINETUNE, target="bayes")
TUNE = replace(STEER, learning_rate=1e-2)


@dataclass(frozen=True)
class ProbeConfig:
    """The measurement on held-out prompts; a world adds the strengths of its conjugations."""

    stage: Probed = knob(
        "finetune", "the stage whose network is compared with the pretrained one; of steer, under the largest grade"
    )
    prompts: int = knob(
        1024, "held-out prompts of each family and seed, in each of the two splits", least=2, most=MOST_PROMPTS
    )
    scratch_steps: int = knob(
        1000,
        "steps of the scratch control: pretraining's recipe on the fine-tuning tasks alone",
        least=1,
        most=MOST_STEPS,
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole experiment. Same config, same numbers."""

    world: str = knob(next(iter(WORLDS)), "where the tasks are from", choices=WORLDS)
    seeds: tuple[int, ...] = knob(
        (0, 1, 2, 3, 4, 5), "independent repetitions: tasks, parameters and data", least=0, most=2**32 - 1
    )
    worlds: int = knob(
        0, "seeds share tasks: seed s has those of seed s mod worlds; 0 = each its own", least=0, most=10**6
    )
    tasks: Any
    """The world's own section: its families of tasks"""
    prompts: Any
    """The world's own section: how tasks are shown; `length` is the number of pairs in a prompt"""
    model: ModelConfig = ModelConfig()
    pretrain: TrainingConfig = TrainingConfig()
    finetune: TrainingConfig = FINETUNE
    adapt: AdaptConfig = AdaptConfig()
    lesson: LessonConfig = LessonConfig()
    student: TrainingConfig = FINETUNE
    control: ControlConfig = ControlConfig()
    tune: TrainingConfig = TUNE
    steer: TrainingConfig = STEER
    probe: Any
    """A ProbeConfig, with the strengths of the world's conjugations"""

    @property
    def scratch(self) -> TrainingConfig:
        """The scratch control: as pretraining, on the fine-tuning distribution alone."""
        task_fields = {name: getattr(self.finetune, name) for name in TASK_FIELDS}
        return replace(self.pretrain, steps=self.probe.scratch_steps, keep_every=0, **task_fields)

    @property
    def lesson_start(self) -> int:
        """The first position, from 0, that a teacher answers."""
        return round(self.lesson.as_drawn * self.prompts.length)

    @property
    def families(self) -> tuple[str, ...]:
        """The families of held-out prompts; `finetuning` where fine-tuning shows another set than the preferred one."""
        return described(self.world).held_out(self)


TASK_FIELDS = ("discrete_prob", "tasks", "n_tasks", "narrow_std")
"""The fields of fine-tuning that say what it shows, which the scratch control is shown too."""
