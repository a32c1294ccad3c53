"""Which values a configuration may hold: each field by itself, and fields together. No jax here."""

import math
from collections.abc import Callable, Collection
from dataclasses import Field
from numbers import Integral, Real
from typing import Any, Literal, NoReturn, get_args, get_origin

from implicit_inference.config.errors import ConfigError, quoted
from implicit_inference.config.fields import TRAININGS, AdaptConfig, Config, TrainingConfig

RANGES = {"least": ">=", "above": ">", "most": "<="}
LONGEST_LIST = 1024
LEAST_NOISE = 1e-4
"""Of the prior's spread: below it, float32 labels are rounded by as much as they are noisy."""


def checked(path: str, kind: Any, f: Field[Any], value: Any) -> Any:
    """Returns the one form of an allowed value: int, float (never -0.0), str, or a list of numbers.

    Raises ConfigError for a wrong type or a value out of range.
    """
    if get_origin(kind) is Literal:
        if not isinstance(value, str) or value not in get_args(kind):
            refuse(path, value, ", ".join(get_args(kind)))
        return value
    if get_origin(kind) is not tuple:
        if (number := _number(kind, f, value)) is None:
            refuse(path, value, f"a {_described(kind, f)}")
        return number
    item = get_args(kind)[0]
    if not isinstance(value, list | tuple):
        refuse(path, value, f"a list of {_described(item, f, 's')}")
    if len(value) > LONGEST_LIST:
        refuse(path, value, f"at most {LONGEST_LIST} values")
    found = [_number(item, f, x) for x in value]
    if None in found:
        refuse(path, value, f"a list of {_described(item, f, 's')}")
    return found


def _described(kind: type, f: Field[Any], plural: str = "") -> str:
    """The allowed numbers in words: `whole number >= 1 <= 4096`."""
    ranges = [f"{sign} {f.metadata[key]:.12g}" for key, sign in RANGES.items() if key in f.metadata]
    if smallest := f.metadata.get("smallest"):
        ranges.append(f"(at least {smallest:g} in size)")
    return " ".join(["whole " * (kind is int) + "number" + plural, *ranges])


def refuse(path: str, value: Any, allowed: str) -> NoReturn:
    """Raises ConfigError with the field, the value and what is allowed."""
    raise ConfigError(f"{path} = {quoted(value)}: allowed: {allowed}")


def _number(kind: type, f: Field[Any], value: Any) -> int | float | None:
    """The value as a number of this kind; None if it is none, or out of range."""
    if isinstance(value, bool) or not isinstance(value, Integral if kind is int else Real):
        return None
    try:
        number: int | float = int(value) if kind is int and isinstance(value, Integral) else float(value)
    except OverflowError:
        return None
    low, above, most, smallest = (f.metadata.get(key) for key in (*RANGES, "smallest"))
    outside = (low is not None and number < low) or (above is not None and number <= above)
    outside = outside or (most is not None and number > most) or (smallest is not None and 0 < abs(number) < smallest)
    return None if outside or not math.isfinite(number) else number or kind(0)  # -0.0 becomes 0.0


Check = Callable[[Config], None]
CHECKS: list[tuple[frozenset[str], Check]] = []
"""(the sections that a check compares, the check)"""


def check_together(config: Config, sections: Collection[str] | None = None) -> None:
    """Raises ConfigError for values that are allowed one by one but not together.

    `sections`: only the checks that look at nothing else; None: all checks.
    """
    for concerned, check in CHECKS:
        if sections is None or concerned <= set(sections):
            check(config)


def _compares(*sections: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        CHECKS.append((frozenset(sections), check))
        return check

    return register


@_compares("seeds")
def _seeds(config: Config) -> None:
    _each_once("seeds", config.seeds)


@_compares("tasks")
def _noise(config: Config) -> None:
    least = LEAST_NOISE * config.tasks.prior_std
    if config.tasks.noise_std < least:
        refuse("tasks.noise_std", config.tasks.noise_std, f"at least {LEAST_NOISE:g} of tasks.prior_std ({least:g})")


@_compares("tasks", "finetune")
def _finetuning_set(config: Config) -> None:
    training = config.finetune
    if training.tasks == "narrow" and config.tasks.noise_std < LEAST_NOISE * training.narrow_std:
        most = config.tasks.noise_std / LEAST_NOISE
        refuse("finetune.narrow_std", training.narrow_std, f"at most {most:g}, {1 / LEAST_NOISE:g} tasks.noise_std")
    most = 0 if training.tasks == "narrow" else config.tasks.n_discrete
    if training.n_tasks > most:
        kind = f"the tasks of finetune.tasks = {training.tasks!r}"
        refuse("finetune.n_tasks", training.n_tasks, f"at most {most}, {kind}; 0 = all")


@_compares("model")
def _heads(config: Config) -> None:
    if config.model.width % config.model.heads:
        refuse("model.heads", config.model.heads, f"a divisor of model.width ({config.model.width})")


@_compares("pretrain", "probe")
def _scratch(config: Config) -> None:
    if config.probe.scratch_steps <= config.pretrain.warmup:
        allowed = f"more than pretrain.warmup ({config.pretrain.warmup})"
        refuse("probe.scratch_steps", config.probe.scratch_steps, allowed)


@_compares("finetune", "adapt")
def _penalty(config: Config) -> None:
    if config.finetune.penalty == "weights" and config.adapt.method == "soft_prompt":
        refuse("finetune.penalty", "weights", "another one with a soft prompt, which moves no weight")


@_compares("control", "tune")
def _untuned_controls(config: Config) -> None:
    if config.control.train == "network" and not config.tune.steps and config.control.adapt.method != "soft_prompt":
        allowed = "'both' with tune.steps = 0, unless controls are soft prompts; all are the same until they train"
        refuse("control.train", "network", allowed)


@_compares("prompts", "lesson")
def _lesson(config: Config) -> None:
    if config.lesson_start == config.prompts.length:
        allowed = f"less, so that the teacher answers at least one of {config.prompts.length} labels"
        refuse("lesson.as_drawn", config.lesson.as_drawn, allowed)


@_compares("control")
def _grades(config: Config) -> None:
    _each_once("control.grades", config.control.grades, 2)


@_compares("model", "adapt")
def _adapted_layers(config: Config) -> None:
    _layers("adapt", config.adapt, config)


@_compares("model", "control")
def _controlled_layers(config: Config) -> None:
    _layers("control.adapt", config.control.adapt, config)


@_compares("probe")
def _strengths(config: Config) -> None:
    probe = config.probe
    for name, least in (("label_scales", 1), ("input_scales", 0), ("label_shifts", 0)):
        _each_once(f"probe.{name}", getattr(probe, name), least)
    for name in ("label_scales", "input_scales"):
        if 0 in getattr(probe, name):
            refuse(f"probe.{name}", list(getattr(probe, name)), "numbers other than 0")


def _layers(section: str, adapt: AdaptConfig, config: Config) -> None:
    _each_once(f"{section}.layers", adapt.layers)
    if max(adapt.layers) >= config.model.layers:
        refuse(f"{section}.layers", list(adapt.layers), f"below model.layers ({config.model.layers})")


def _each_once(path: str, values: tuple[int | float, ...], least: int = 1) -> None:
    if len(values) < least or len(set(values)) < len(values):
        how_many = {0: "", 1: "at least one, ", 2: "at least two, "}[least]
        refuse(path, list(values), f"{how_many}each once")


FINETUNING_ONLY = ("tasks", "n_tasks", "narrow_std", "replay", "penalty", "strength")


def _training(stage: str) -> Check:
    def check(config: Config) -> None:
        training: TrainingConfig = getattr(config, stage)
        if not training.steps and stage not in ("tune", "steer"):
            refuse(f"{stage}.steps", 0, "a whole number >= 1")
        if training.warmup >= training.steps > 0:
            refuse(f"{stage}.warmup", training.warmup, f"less than {stage}.steps ({training.steps})")
        if training.weight_decay and training.optimizer == "adam":
            refuse(f"{stage}.weight_decay", training.weight_decay, "0 with adam; adamw decays")
        if stage == "finetune":
            return
        for name in FINETUNING_ONLY:
            value, default = getattr(training, name), getattr(TrainingConfig, name)
            if value != default:
                refuse(f"{stage}.{name}", value, f"{default!r}; only fine-tuning has another")
        if stage != "pretrain" and training.discrete_prob != 1:
            refuse(f"{stage}.discrete_prob", training.discrete_prob, "1; lessons and preferences say what is shown")
        if stage == "student" and training.target != "label":
            refuse("student.target", training.target, "'label', what the teacher answered")

    return check


for _stage in TRAININGS:
    _compares(_stage)(_training(_stage))
