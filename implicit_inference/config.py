"""Every knob of a run with its default and allowed range; presets; TOML in and out; run ids.

No jax here: a wrong value is refused before anything slow is imported.
"""

import hashlib
import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

import cattrs
import tomli_w


class UserError(Exception):
    """What the user can mend; its text is one line that says how."""

    exit_code = 2


class ConfigError(UserError):
    """A wrong configuration: the field, the value and what is allowed."""


def knob(default: Any, about: str, **allowed: float) -> Any:
    """A field with its documentation and the range of its values: `least` <=, `above` <, `most` >=."""
    return field(default=default, metadata={"about": about, **allowed})


@dataclass(frozen=True)
class TasksConfig:
    """The world: y = <w, x> + noise, w from a discrete set or from a Gaussian."""

    dim: int = knob(4, "d, the length of a task and of an input", least=1)
    n_discrete: int = knob(4, "n, tasks in the discrete set", least=1)
    prior_std: float = knob(1.0, "tau, standard deviation of every weight", above=0)
    noise_std: float = knob(1.0, "sigma, standard deviation of the label noise", above=0)
    relu_features: int = knob(
        0,
        "m, tasks answer <w, relu(V x)> with V [m, d] drawn once a seed, label variance as before; 0 = linear",
        least=0,
    )


@dataclass(frozen=True)
class PromptsConfig:
    """How tasks are shown."""

    length: int = knob(12, "K, pairs in a prompt: K-1 exemplars and a query", least=2)
    tokens: Literal["compact", "interleaved"] = knob(
        "compact", "one token (x_k, x_{k-1}, y_{k-1}) a pair, or the paper's two, x_k and y_k"
    )


@dataclass(frozen=True)
class ModelConfig:
    """The decoder transformer."""

    width: int = knob(32, "width of the residual stream", least=1)
    layers: int = knob(4, "number of blocks", least=1)
    heads: int = knob(4, "attention heads; divides the width", least=1)
    compute_dtype: Literal["float32", "bfloat16"] = knob("float32", "type of activations; parameters stay float32")


@dataclass(frozen=True)
class TrainingConfig:
    """One stage of training: what is drawn, what is learned from it, how."""

    steps: int = knob(3000, "optimiser steps", least=1)
    batch: int = knob(64, "prompts in a step", least=1)
    discrete_prob: float = knob(0.5, "alpha, probability that a task is from the discrete set", least=0, most=1)
    tasks: Literal["discrete", "other", "narrow"] = knob(
        "discrete", "in fine-tuning, what stands for the discrete set: itself, another one of its size, N(0, s^2 I)"
    )
    n_tasks: int = knob(0, "in fine-tuning, only the first so many tasks of the set; 0 = all", least=0)
    narrow_std: float = knob(0.5, "s, standard deviation of every weight of the narrow Gaussian", above=0)
    replay: float = knob(
        0.0, "in fine-tuning, the fraction of prompts drawn from the pretraining distribution", least=0, most=1
    )
    keep_every: int = knob(0, "keep the parameters at every so-manieth evaluation too; 0 = only the last", least=0)
    target: Literal["label", "noise_free", "posterior_mean"] = knob(
        "posterior_mean", "learn y_k, <w, x_k> or the exact E[y_k | past, x_k]: one minimiser, falling variance"
    )
    optimizer: Literal["adam", "adamw", "muon"] = knob(
        "muon", "update rule (muon: block matrices; the rest adam at a tenth of the rate)"
    )
    learning_rate: float = knob(2e-2, "peak learning rate", above=0)
    warmup: int = knob(100, "steps of linear warm-up; fewer than steps", least=0)
    final_fraction: float = knob(0.02, "the cosine ends at this fraction of the peak; 1 = constant", least=0, most=1)
    weight_decay: float = knob(0.0, "decoupled weight decay (adamw, muon)", least=0)
    clip: float = knob(1.0, "largest global norm of a gradient", above=0)


@dataclass(frozen=True)
class ProbeConfig:
    """What is measured; every predictor sees the same held-out prompts."""

    prompts: int = knob(1024, "held-out prompts of each family and seed, in each of the two splits", least=2)
    label_scales: tuple[float, ...] = knob((-1.0, 0.5, 1.25, 1.5, 2.0, 3.0, 4.0), "gammas of y -> gamma y; not 0")
    input_scales: tuple[float, ...] = knob((0.5, 2.0), "c of x -> x / c; not 0")
    label_shifts: tuple[float, ...] = knob((2.0,), "lengths of v in y -> y + <v, x>; its direction is random")
    scratch_steps: int = knob(
        1000, "steps of the scratch control: pretraining's recipe on the fine-tuning tasks alone", least=1
    )


FINETUNE = TrainingConfig(steps=400, discrete_prob=1.0, target="label", optimizer="adam", learning_rate=2e-4, warmup=20)


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
    probe: ProbeConfig = ProbeConfig()

    @property
    def scratch(self) -> TrainingConfig:
        """The scratch control: as pretraining, on the fine-tuning distribution alone."""
        shown = {name: getattr(self.finetune, name) for name in ("discrete_prob", "tasks", "n_tasks", "narrow_std")}
        return replace(self.pretrain, steps=self.probe.scratch_steps, keep_every=0, **shown)

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
        probe=ProbeConfig(scratch_steps=5000),
    ),
}

STAGES = {
    "pretrain": ("seeds", "tasks", "prompts", "model", "pretrain"),
    "scratch": ("seeds", "tasks", "prompts", "model", "scratch"),
    "finetune": ("seeds", "tasks", "prompts", "model", "pretrain", "finetune"),
    "probe": ("seeds", "tasks", "prompts", "model", "pretrain", "finetune", "probe"),
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
    for name in ("tasks", "n_tasks", "narrow_std", "replay"):
        value, default = getattr(config.pretrain, name), getattr(TrainingConfig, name)
        if value != default:
            raise ConfigError(f"pretrain.{name} = {value!r}: allowed: {default!r}; only fine-tuning has another set")
    most = 0 if config.finetune.tasks == "narrow" else config.tasks.n_discrete
    if config.finetune.n_tasks > most:
        raise ConfigError(
            f"finetune.n_tasks = {config.finetune.n_tasks}: allowed: at most {most}, the tasks of "
            f"finetune.tasks = {config.finetune.tasks!r}; 0 = all"
        )
    for stage in ("pretrain", "finetune"):
        training: TrainingConfig = getattr(config, stage)
        if training.warmup >= training.steps:
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
