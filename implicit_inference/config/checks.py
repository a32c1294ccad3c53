"""Which values a configuration may hold: each field by itself, and fields together. No jax here."""

import math
from collections.abc import Callable, Collection
from dataclasses import Field, fields
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_origin

from implicit_inference.config.errors import refuse
from implicit_inference.config.fields import AdaptConfig, Config, require_distinct
from implicit_inference.worlds import described

RANGES = {"least": ">=", "above": ">", "most": "<="}
LONGEST_LIST = 1024


def checked(path: str, kind: Any, f: Field[Any], value: Any) -> Any:
    """Returns the one form of an allowed value: int, float (never -0.0), str, or a list of numbers.

    Raises ConfigError for a wrong type or a value out of range.
    """
    if get_origin(kind) is Literal or kind is str:
        choices = tuple(f.metadata.get("choices", get_args(kind)))
        if not isinstance(value, str) or value not in choices:
            refuse(path, value, ", ".join(choices))
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


def check_together(config: Config, sections: Collection[str] | None = None) -> None:
    """Raises ConfigError for values that are allowed one by one but not together.

    `sections`: only the checks that look at nothing else; None: all checks.
    """
    for section in (field.name for field in fields(config)):
        if (sections is None or section in sections) and hasattr(part := getattr(config, section), "check"):
            part.check(section)
    for concerned, check in (*CHECKS, *described(config.world).checks):
        if sections is None or set(concerned) <= set(sections):
            check(config)


def _seeds(config: Config) -> None:
    require_distinct("seeds", config.seeds)


def _scratch(config: Config) -> None:
    if config.probe.scratch_steps <= config.pretrain.warmup:
        allowed = f"more than pretrain.warmup ({config.pretrain.warmup})"
        refuse("probe.scratch_steps", config.probe.scratch_steps, allowed)


def _penalty(config: Config) -> None:
    if config.finetune.penalty == "weights" and config.adapt.method == "soft_prompt":
        refuse("finetune.penalty", "weights", "another one with a soft prompt, which moves no weight")


def _untuned_controls(config: Config) -> None:
    if config.control.train == "network" and not config.tune.steps and config.control.adapt.method != "soft_prompt":
        allowed = "'both' with tune.steps = 0, unless controls are soft prompts; all are the same until they train"
        refuse("control.train", "network", allowed)


def _lesson(config: Config) -> None:
    if config.lesson_start == config.prompts.length:
        allowed = f"less, so that the teacher answers at least one of {config.prompts.length} labels"
        refuse("lesson.as_drawn", config.lesson.as_drawn, allowed)


def _stranger(config: Config) -> None:
    seeds, worlds = config.seeds, config.worlds
    pairs = zip(seeds, seeds[worlds:] + seeds[:worlds], strict=True)
    if config.lesson.teacher == "stranger" and not (
        worlds and all(a != b and a % worlds == b % worlds for a, b in pairs)
    ):
        allowed = "another teacher, unless `worlds` is set, and seeds are two networks or more of each world in turn"
        refuse("lesson.teacher", "stranger", allowed)


def _adapted_layers(config: Config) -> None:
    _layers("adapt", config.adapt, config)


def _controlled_layers(config: Config) -> None:
    _layers("control.adapt", config.control.adapt, config)


def _layers(section: str, adapt: AdaptConfig, config: Config) -> None:
    if max(adapt.layers) >= config.model.layers:
        refuse(f"{section}.layers", list(adapt.layers), f"below model.layers ({config.model.layers})")


CHECKS: tuple[tuple[tuple[str, ...], Check], ...] = (
    (("seeds",), _seeds),
    (("pretrain", "probe"), _scratch),
    (("finetune", "adapt"), _penalty),
    (("control", "tune"), _untuned_controls),
    (("prompts", "lesson"), _lesson),
    (("seeds", "worlds", "lesson"), _stranger),
    (("model", "adapt"), _adapted_layers),
    (("model", "control"), _controlled_layers),
)
"""(the sections that a check compares, the check)"""
