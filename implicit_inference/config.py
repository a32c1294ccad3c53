"""A whole experiment as one value: presets; checks; TOML in and out; run ids.

No jax here: a wrong value is refused before anything slow is imported.
"""

import hashlib
import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

import cattrs
import tomli_w

from implicit_inference.sections import (
    AdaptConfig,
    ControlConfig,
    LessonConfig,
    ModelConfig,
    ProbeConfig,
    PromptsConfig,
    TasksConfig,
    TrainingConfig,
    knob,
)


class UserError(Exception):
    """What the user can mend; its text is one line that says how."""

    exit_code = 2


class ConfigError(UserError):
    """A wrong configuration: the field, the value and what is allowed."""


FINETUNE = TrainingConfig(steps=400, discrete_prob=1.0, target="label", optimizer="adam", learning_rate=2e-4, warmup=20)
STEER = replace(FINETUNE, target="posterior_mean")
TUNE = replace(STEER, learning_rate=1e-2)


@dataclass(frozen=True)
class Config:
    """A whole experiment. Same config, same numbers."""

    seeds: tuple[int, ...] = knob(
        (0, 1, 2, 3, 4, 5), "independent repetitions: tasks, parameters and data", least=0, most=2**32 - 1
    )
    tasks: TasksConfig = TasksConfig()
    prompts: PromptsConfig = PromptsConfig()
    model: ModelConfig = ModelConfig()
    pretrain: TrainingConfig = TrainingConfig()
    finetune: TrainingConfig = FINETUNE
    adapt: AdaptConfig = AdaptConfig()
    lesson: LessonConfig = LessonConfig()
    student: TrainingConfig = FINETUNE
    control: ControlConfig = ControlConfig()
    tune: TrainingConfig = TUNE
    steer: TrainingConfig = STEER
    probe: ProbeConfig = ProbeConfig()

    @property
    def scratch(self) -> TrainingConfig:
        """The scratch control: as pretraining, on the fine-tuning distribution alone."""
        shown = {name: getattr(self.finetune, name) for name in ("discrete_prob", "tasks", "n_tasks", "narrow_std")}
        return replace(self.pretrain, steps=self.probe.scratch_steps, keep_every=0, **shown)

    @property
    def lesson_start(self) -> int:
        """The first position, from 0, that a teacher answers."""
        return round(self.lesson.as_drawn * self.prompts.length)

    @property
    def families(self) -> tuple[str, ...]:
        """The families of held-out prompts; `finetuning` where fine-tuning shows another set than the discrete one."""
        whole = self.finetune.tasks == "discrete" and self.finetune.n_tasks in (0, self.tasks.n_discrete)
        return FAMILIES if whole else (*FAMILIES, "finetuning")


FAMILIES = ("discrete", "gaussian")
"""The two parts of the pretraining distribution."""

PRESETS = {
    "smoke": Config(
        seeds=(0, 1),
        tasks=TasksConfig(dim=2, n_discrete=3),
        prompts=PromptsConfig(length=8),
        model=ModelConfig(layers=2),
        pretrain=TrainingConfig(steps=600, warmup=50),
        finetune=replace(FINETUNE, steps=200, learning_rate=3e-4),
        lesson=LessonConfig(prompts=1024),
        student=replace(FINETUNE, steps=200, learning_rate=3e-4),
        tune=replace(TUNE, steps=200),
        steer=replace(STEER, steps=200, learning_rate=3e-4),
        probe=ProbeConfig(prompts=512, scratch_steps=600),
    ),
    "demo": Config(pretrain=TrainingConfig(learning_rate=1e-2)),
    "paper": Config(
        seeds=(0, 1, 2, 3),
        tasks=TasksConfig(dim=20, n_discrete=64),
        prompts=PromptsConfig(length=41, tokens="interleaved"),
        model=ModelConfig(width=256, layers=12, heads=8, compute_dtype="bfloat16"),
        pretrain=TrainingConfig(
            steps=5000, target="label", optimizer="adam", learning_rate=1e-4, warmup=0, final_fraction=1.0
        ),
        finetune=replace(FINETUNE, learning_rate=1e-4, warmup=0, final_fraction=1.0),
        lesson=LessonConfig(prompts=25_600),
        student=replace(FINETUNE, learning_rate=1e-4, warmup=0, final_fraction=1.0),
        tune=replace(TUNE, learning_rate=1e-3, warmup=0, final_fraction=1.0),
        steer=replace(STEER, learning_rate=1e-4, warmup=0, final_fraction=1.0),
        probe=ProbeConfig(scratch_steps=5000),
    ),
}

STAGES = {
    "pretrain": ("seeds", "tasks", "prompts", "model", "pretrain"),
    "scratch": ("seeds", "tasks", "prompts", "model", "scratch"),
    "finetune": ("seeds", "tasks", "prompts", "model", "pretrain", "finetune", "adapt"),
    "student": ("seeds", "tasks", "prompts", "model", "pretrain", "finetune", "adapt", "lesson", "student"),
    "tune": ("seeds", "tasks", "prompts", "model", "pretrain", "control", "tune"),
    "steer": ("seeds", "tasks", "prompts", "model", "pretrain", "control", "tune", "steer"),
    "probe": ("seeds", "tasks", "prompts", "model", "pretrain", "finetune", "adapt", "probe"),
}
"""The parts of the configuration that each stage's result depends on."""


def run_id(stage: str, config: Config) -> str:
    """The name of a stage's run: `stage-` and ten hexadecimal digits of a hash of all that it depends on."""
    content = {part: _plain(getattr(config, part)) for part in STAGES[stage]}
    return f"{stage}-{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]}"


def fields_of(kind: type, prefix: str = "") -> Iterator[tuple[str, Any, Field[Any]]]:
    """(path, type, field) of every knob below a config class, sections before the dot."""
    types = get_type_hints(kind)
    for f in fields(kind):
        if is_dataclass(types[f.name]):
            yield from fields_of(types[f.name], f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, types[f.name], f


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """The config with `changes`, a nested mapping or one with dotted paths.

    Raises ConfigError for an unknown field, a wrong type or a value out of range.
    """
    content = _plain(config)
    for path, value in _leaves(changes):
        *sections, name = path.split(".")
        place = content
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not isinstance(place, dict) or name not in place or isinstance(place[name], dict):
            known = [p for p, _, _ in fields_of(Config)]
            close = get_close_matches(path, known, n=1, cutoff=0)[0]
            raise ConfigError(f"{path} = {value!r}: no such field; did you mean {close}?")
        place[name] = value
    for path, kind, f in fields_of(Config):
        place = content
        for section in path.split("."):
            place = place[section]
        _check(path, kind, f, place)
    config = _converter.structure(content, Config)
    _check_together(config)
    return config


def load(path: Path, base: Config) -> Config:
    """`base` with the fields of a TOML file."""
    try:
        return override(base, tomllib.loads(path.read_text()))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML ({error})") from error


def to_toml(config: Config) -> str:
    """The canonical text: every field, sections in order."""
    return tomli_w.dumps(_plain(config))


_converter = cattrs.Converter(forbid_extra_keys=True)


def _plain(value: Any) -> Any:
    """Nested dicts and lists, as TOML and JSON have them."""
    return list(value) if isinstance(value, tuple) else json.loads(json.dumps(asdict(value)))


def _leaves(changes: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in changes.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _check(path: str, kind: Any, f: Field[Any], value: Any) -> None:
    """Refuse a value of the wrong type or out of range, in one line."""

    def refuse(allowed: str) -> NoReturn:
        raise ConfigError(f"{path} = {value!r}: allowed: {allowed}")

    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            refuse(", ".join(get_args(kind)))
        return
    is_tuple = get_origin(kind) is tuple
    item = get_args(kind)[0] if is_tuple else kind
    ranges = [f"{sign} {f.metadata[key]:g}" for key, sign in RANGES.items() if key in f.metadata]
    allowed = (
        " ".join(["whole numbers" if item is int else "numbers", *ranges])
        if is_tuple
        else " ".join(["a whole number" if item is int else "a number", *ranges])
    )
    if is_tuple and not isinstance(value, list | tuple):
        refuse("a list of " + allowed)
    for x in value if is_tuple else [value]:
        if isinstance(x, bool) or not isinstance(x, int if item is int else int | float) or not math.isfinite(x):
            refuse(allowed)
        low, above, most = (f.metadata.get(key) for key in RANGES)
        if (low is not None and x < low) or (above is not None and x <= above) or (most is not None and x > most):
            refuse(allowed)


RANGES = {"least": ">=", "above": ">", "most": "<="}


def _check_together(config: Config) -> None:
    """Refuse values that are allowed one by one but not together."""
    if not config.seeds or len(set(config.seeds)) < len(config.seeds):
        raise ConfigError(f"seeds = {list(config.seeds)}: allowed: at least one, each once")
    if config.model.width % config.model.heads:
        raise ConfigError(
            f"model.heads = {config.model.heads}: allowed: a divisor of model.width ({config.model.width})"
        )
    if config.probe.scratch_steps <= config.pretrain.warmup:
        raise ConfigError(
            f"probe.scratch_steps = {config.probe.scratch_steps}: allowed: more than pretrain.warmup "
            f"({config.pretrain.warmup})"
        )
    for stage in ("pretrain", "student", "tune", "steer"):
        for name in ("tasks", "n_tasks", "narrow_std", "replay", "penalty", "strength"):
            value, default = getattr(getattr(config, stage), name), getattr(TrainingConfig, name)
            if value != default:
                raise ConfigError(f"{stage}.{name} = {value!r}: allowed: {default!r}; only fine-tuning has another")
    for stage in ("student", "tune", "steer"):
        if (value := getattr(config, stage).discrete_prob) != FINETUNE.discrete_prob:
            raise ConfigError(
                f"{stage}.discrete_prob = {value:g}: allowed: {FINETUNE.discrete_prob:g}; lessons and preferences say "
                "what is shown"
            )
    if config.finetune.penalty == "weights" and config.adapt.method == "soft_prompt":
        raise ConfigError(
            "finetune.penalty = 'weights': allowed: another one with a soft prompt, which moves no weight"
        )
    if config.control.train == "network" and not config.tune.steps and config.control.adapt.method != "soft_prompt":
        raise ConfigError(
            "control.train = 'network': allowed: 'both' with tune.steps = 0, unless controls are soft prompts; all "
            "controls are the same until they train"
        )
    if config.student.target != "label":
        raise ConfigError(f"student.target = {config.student.target!r}: allowed: 'label', what the teacher answered")
    if config.lesson_start == config.prompts.length:
        raise ConfigError(
            f"lesson.as_drawn = {config.lesson.as_drawn:g}: allowed: less, so that the teacher answers at least one of "
            f"{config.prompts.length} labels"
        )
    if len(set(config.control.grades)) < max(2, len(config.control.grades)):
        raise ConfigError(f"control.grades = {list(config.control.grades)}: allowed: at least two, each once")
    for section, adapt in (("adapt", config.adapt), ("control.adapt", config.control.adapt)):
        layers = adapt.layers
        if not layers or max(layers) >= config.model.layers or len(set(layers)) < len(layers):
            raise ConfigError(
                f"{section}.layers = {list(layers)}: allowed: at least one, each once, below model.layers "
                f"({config.model.layers})"
            )
    most = 0 if config.finetune.tasks == "narrow" else config.tasks.n_discrete
    if config.finetune.n_tasks > most:
        raise ConfigError(
            f"finetune.n_tasks = {config.finetune.n_tasks}: allowed: at most {most}, the tasks of "
            f"finetune.tasks = {config.finetune.tasks!r}; 0 = all"
        )
    for stage in ("pretrain", "finetune", "student", "tune", "steer"):
        training: TrainingConfig = getattr(config, stage)
        if not training.steps and stage not in ("tune", "steer"):
            raise ConfigError(f"{stage}.steps = 0: allowed: a whole number >= 1")
        if training.warmup >= training.steps > 0:
            raise ConfigError(
                f"{stage}.warmup = {training.warmup}: allowed: less than {stage}.steps ({training.steps})"
            )
        if training.weight_decay and training.optimizer == "adam":
            raise ConfigError(f"{stage}.weight_decay = {training.weight_decay:g}: allowed: 0 with adam; adamw decays")
    for path, scales in (("label_scales", config.probe.label_scales), ("input_scales", config.probe.input_scales)):
        if 0 in scales or len(set(scales)) < len(scales):
            raise ConfigError(f"probe.{path} = {list(scales)}: allowed: numbers other than 0, each once")
    if not config.probe.label_scales:
        raise ConfigError("probe.label_scales = []: allowed: at least one, to recover with")
