"""A sweep as data: a start, axes of values, stages, a measure; from a file or from Python, wrong fields refused."""

import hashlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import Any, NoReturn

import tomli_w

from implicit_inference.config.changes import PRESETS, changed, changed_fields, fields_of, to_toml
from implicit_inference.config.errors import ConfigError, named, quoted, refuse
from implicit_inference.config.fields import Config
from implicit_inference.config.stages import STAGES
from implicit_inference.config.toml import read_toml

MOST_RUNS = 10**6

MEASURES = ("probe", "summary", "training")
"""The contents that a table can have: all rows of the probes, their headline numbers, or the losses while training."""

LARGEST = 1e12
"""Numbers of a range are no larger in size: no field has larger ones."""

RANGE_KEYS = ("start", "stop", "num", "step", "scale")
"""The keys of a range: `num` values or one every `step`, `scale` linear or log; on a log scale, `step` is a factor."""

KEYS = ("preset", "config", "changes", "seeds", "product", "zip", "stages", "measure")
"""The keys of a sweep's file."""

Variant = dict[str, Any]
"""The varied fields of one run, by dotted path."""


@dataclass(frozen=True)
class Axis:
    """One axis: a field with its values, or several fields whose values go side by side."""

    paths: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    """For each place on the axis, the value of every path."""


@dataclass(frozen=True)
class Sweep:
    """One sweep: every combination of the axes' values, from one start."""

    start: Config
    axes: tuple[Axis, ...]
    stages: tuple[str, ...]
    measure: str

    @classmethod
    def of(
        cls,
        start: Config,
        axes: Any = None,
        together: Any = None,
        stages: Any = None,
        measure: Any = None,
        fixed: Collection[str] = (),
    ) -> "Sweep":
        """Makes the sweep over every combination of `axes`, and over the fields of `together` side by side.

        `stages`: the probe unless given; what they rest on is trained, too. `measure`: one of MEASURES. `fixed`:
        fields that have been given a value, and so are no axes. Raises ConfigError for a wrong field or value, alone
        or together, and for more than MOST_RUNS runs.
        """
        alone = _columns("axes", axes, start.world)
        found = [Axis((path,), tuple((value,) for value in values)) for path, values in alone.items()]
        if columns := _columns("zip", together, start.world):
            first, *others = columns
            for path in others:
                if len(columns[path]) != len(columns[first]):
                    refuse(path, list(columns[path]), f"in zip, as many values as {first} has ({len(columns[first])})")
            found.append(Axis(tuple(columns), tuple(zip(*columns.values(), strict=True))))
        for path, values in (*alone.items(), *columns.items()):
            if path in fixed or (path in alone and path in columns):
                refuse(path, list(values), "one value or one axis; it is given twice")
        for axis in found:
            if len({repr(place) for place in axis.values}) < len(axis.values):
                refuse(axis.paths[0], [place[0] for place in axis.values], "as an axis, values each once")
        if (runs := math.prod(len(axis.values) for axis in found)) > MOST_RUNS:
            raise ConfigError(f"the axes ask for {runs} runs; allowed: at most {MOST_RUNS}")
        named_stages = _stages(stages)
        sweep = cls(start, tuple(found), named_stages, _measure(measure, named_stages))
        for _ in sweep.configs():
            pass
        return sweep

    @property
    def paths(self) -> tuple[str, ...]:
        """The varied fields, in the order of the axes."""
        return tuple(path for axis in self.axes for path in axis.paths)

    def places(self) -> Iterator[tuple[tuple[Any, ...], ...]]:
        """Where every run stands on each axis; the last axis varies fastest."""
        return product(*(axis.values for axis in self.axes))

    def variants(self) -> Iterator[Variant]:
        """The varied fields of every run, in the order of `places`."""
        return (dict(zip(self.paths, chain.from_iterable(places), strict=True)) for places in self.places())

    def configs(self) -> Iterator[Config]:
        """The configuration of every run; raises ConfigError for values that do not go together."""
        return (changed(self.start, variant) for variant in self.variants())

    @property
    def id(self) -> str:
        """The name of the sweep's folder: `sweep-` and ten hexadecimal digits of a hash of its files."""
        return f"sweep-{hashlib.sha256(''.join(self.files().values()).encode()).hexdigest()[:10]}"

    def files(self) -> dict[str, str]:
        """The sweep as files, which its command takes again: start.toml, every field, and sweep.toml."""
        groups: dict[str, Any] = {"product": {}, "zip": {}}
        for axis in self.axes:
            group = groups["product" if len(axis.paths) == 1 else "zip"]
            group |= {
                path: _plain(values) for path, values in zip(axis.paths, zip(*axis.values, strict=True), strict=True)
            }
        asked = {"config": "start.toml", "stages": list(self.stages), "measure": self.measure}
        groups = {name: group for name, group in groups.items() if group}
        return {"start.toml": to_toml(self.start), "sweep.toml": tomli_w.dumps(asked | groups)}


def read(path: Path) -> dict[str, Any]:
    """The keys of a sweep's file, `config` as a path from where the file lies; raises ConfigError, which names it."""
    content = read_toml(path)
    with of_file(path):
        for key, value in content.items():
            if key not in KEYS:
                raise ConfigError(f"{named(key)} = {quoted(value)}: no such key; allowed: {', '.join(KEYS)}")
            if key in ("changes", "product", "zip") and not isinstance(value, dict):
                refuse(key, value, "a table of fields")
        if "preset" in content and "config" in content:
            refuse("config", content["config"], "one start; preset is given, too")
        if "preset" in content and not (isinstance(content["preset"], str) and content["preset"] in PRESETS):
            refuse("preset", content["preset"], ", ".join(PRESETS))
        if "config" in content:
            if not (isinstance(content["config"], str) and content["config"].endswith(".toml")):
                refuse("config", content["config"], "the name of a file, FILE.toml")
            content["config"] = path.parent / content["config"]
    return content


@contextmanager
def of_file(path: Path) -> Iterator[None]:
    """Names the file in every ConfigError."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{named(path)}: {error}") from error


def _columns(argument: str, given: Any, world: str) -> dict[str, tuple[Any, ...]]:
    """{path: values in their one form} of the axes that an argument names, nested or by dotted path."""
    if not isinstance(given, Mapping | None):
        refuse(argument, given, "a mapping of fields, such as {'tasks.dim': ...}")
    columns: dict[str, tuple[Any, ...]] = {}
    for path, values in _leaves(given or {}, "", fields_of(world)):
        if path in columns:
            refuse(path, values, "one axis; it is given twice")
        columns[path] = tuple(_checked(path, value, world) for value in _values(path, values, world))
    return columns


def _leaves(given: Mapping[Any, Any], prefix: str, known: Collection[str]) -> Iterator[tuple[str, Any]]:
    """(path, values) of every axis; a range is a mapping, too, so only sections are looked into."""
    for name, values in given.items():
        path = f"{prefix}{name}"
        if isinstance(values, Mapping) and any(field.startswith(f"{path}.") for field in known):
            yield from _leaves(values, f"{path}.", known)
        else:
            yield path, values


def _checked(path: str, value: Any, world: str) -> Any:
    """The value of a field in its one form, lists as tuples; raises ConfigError."""
    found = changed_fields({path: value}, world)[path]
    return tuple(found) if isinstance(found, list) else found


def _values(path: str, given: Any, world: str) -> list[Any]:
    """The values of an axis, which is a list or a range; raises ConfigError."""
    if isinstance(given, Mapping) and given.keys() & RANGE_KEYS:
        return _range(path, given, world)
    values = list(given) if isinstance(given, Iterable) and not isinstance(given, str | Mapping) else []
    if not values:
        if path not in fields_of(world):
            changed_fields({path: given}, world)
        refuse(path, given, f"in axes, a list of at least one value, each once, or a range ({', '.join(RANGE_KEYS)})")
    return values


def _range(path: str, given: Mapping[str, Any], world: str) -> list[int] | list[float]:
    """The values of a range, both ends included, to twelve digits; those of whole-number fields are rounded."""

    def wrong(allowed: str) -> NoReturn:
        refuse(path, dict(given), f"in a range, {allowed}")

    def number(name: str) -> float:
        value = given[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
            wrong(f"{name} as a number of at most {LARGEST:g} in size")
        return float(value)

    if odd := given.keys() - {*RANGE_KEYS}:
        wrong(f"{', '.join(RANGE_KEYS)}, no {named(min(map(str, odd)))}")
    if not {"start", "stop"} <= given.keys() or len(given.keys() & {"num", "step"}) != 1:
        wrong("start, stop, and num or step")
    if (scale := given.get("scale", "linear")) not in ("linear", "log"):
        wrong("scale = 'linear' or 'log'")
    log, start, stop = scale == "log", number("start"), number("stop")
    if log and min(start, stop) <= 0:
        wrong("start > 0 and stop > 0 on a log scale")
    if "num" in given:
        num = given["num"]
        if isinstance(num, bool) or not isinstance(num, int) or not 2 <= num <= MOST_RUNS:
            wrong(f"num as a whole number >= 2 <= {MOST_RUNS}")
        last = num - 1
    else:
        step, least = number("step"), 1 if log else 0
        if stop < start or step <= least:
            wrong(f"start <= stop and step > {least}")
        steps = (math.log(stop) - math.log(start)) / math.log(step) if log else (stop - start) / step
        if steps >= MOST_RUNS:
            wrong(f"at most {MOST_RUNS} values")
        last = math.floor(steps + 1e-9)
        stop = start * step**last if log else start + step * last
    parts = [i / max(last, 1) for i in range(last + 1)]
    exact = [start ** (1 - t) * stop**t if log else start + (stop - start) * t for t in parts]
    values = [float(f"{value:.12g}") for value in exact]
    return [round(value) for value in values] if fields_of(world).get(path, (None,))[0] is int else values


def _plain(value: Any) -> Any:
    """Tuples as lists, which TOML has."""
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _stages(given: Any) -> tuple[str, ...]:
    """The stages that a sweep is to bring to their end; the probe unless others are given."""
    stages = ["probe"] if given is None else given
    if (
        not isinstance(stages, list | tuple)
        or not stages
        or not all(isinstance(stage, str) and stage in STAGES for stage in stages)
    ):
        refuse("stages", given, f"a list of {', '.join(STAGES)}")
    return tuple(stage for stage in STAGES if stage in stages)


def _measure(given: Any, stages: tuple[str, ...]) -> str:
    """The measure of a sweep; of one without a probe, the losses while training."""
    allowed = MEASURES if "probe" in stages else MEASURES[-1:]
    measure = allowed[0] if given is None else given
    if not isinstance(measure, str) or measure not in allowed:
        beside = "" if "probe" in stages else "; the others need the stage probe"
        refuse("measure", given, ", ".join(allowed) + beside)
    return measure
