"""The world of loaded coins, described."""

from dataclasses import dataclass, replace
from types import MappingProxyType

from implicit_inference.config.fields import (
    FINETUNE,
    Config,
    ModelConfig,
    ProbeConfig,
    TrainingConfig,
    knob,
)
from implicit_inference.worlds import Description, Move


@dataclass(frozen=True)
class TasksConfig:
    """The coins."""

    faces: int = knob(3, "C, faces of a coin", least=2, most=64)
    n_known: int = knob(2, "coins in the known set", least=1, most=64)


@dataclass(frozen=True)
class PromptsConfig:
    """How coins are shown."""

    length: int = knob(6, "K, throws in a prompt", least=2, most=64)


@dataclass(frozen=True)
class Turns(ProbeConfig):
    """The measurement, with relabelled faces."""

    turns: tuple[float, ...] = knob((2.0, 3.0), "faces are relabelled y -> y + turn - 1 mod C", least=1, most=64)


BASE = Config(
    world="coin",
    seeds=(0, 1),
    tasks=TasksConfig(),
    prompts=PromptsConfig(),
    model=ModelConfig(width=8, layers=1, heads=2),
    pretrain=TrainingConfig(steps=60, warmup=5, batch=16, optimizer="adam", learning_rate=1e-2),
    finetune=replace(FINETUNE, steps=20, batch=16, warmup=2, learning_rate=1e-2),
    probe=Turns(prompts=32, scratch_steps=60),
)

WORLD = Description(
    base=BASE,
    presets=MappingProxyType({}),
    preferred="known",
    forgotten="fresh",
    exact={"known": "known_posterior", "fresh": "counts"},
    moves={"turn": Move("turns", "faces turned by {:g}")},
    dial="turn",
    early=lambda config: 2,
    whole=lambda config: True,
    settled=lambda config: config,
    checks=(),
    sizes=lambda config: {
        "prompt": config.prompts.length,
        "tokens": config.prompts.length,
        "token": config.tasks.faces,
        "outputs": config.tasks.faces,
    },
    memory=lambda config: {},
    titled=("tasks.faces",),
    words={"loss": "cross-entropy, in nats", "known": "known", "fresh": "fresh", "tasks.faces": "C"},
)
