"""A run among runs: the part of a configuration that it depends on, the id made of that part, the runs it rests on.

No jax here: whoever reads a run asks, too.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import tomli_w

from implicit_inference.config.changes import PRESETS, base, leaves, override, plain
from implicit_inference.config.errors import refuse
from implicit_inference.config.fields import (
    FINETUNE,
    TASK_FIELDS,
    AdaptConfig,
    Config,
    ControlConfig,
    TrainingConfig,
)
from implicit_inference.config.stages import NETWORK_TEACHERS, PROBED, STAGES, TRAININGS, parts_of
from implicit_inference.worlds import WORLDS, described

METHOD_FIELDS = {
    "full": (),
    "head": (),
    "layers": ("layers",),
    "values": (),
    "lora": ("rank", "targets"),
    "soft_prompt": ("prompt_length",),
}
"""adapt.method -> the fields of its section that it reads"""


def content(stage: str, config: Config) -> dict[str, Any]:
    """The part of a configuration that a stage's result depends on, as plain tables.

    Settings that do nothing stand at their defaults, so that equal results have equal content.
    """
    config = described(config.world).settled(config)
    trainings: Any = {name: _settled(name, config) for name in TRAININGS}
    settled = replace(
        config,
        **trainings,
        adapt=_settled_method(config.adapt),
        control=replace(config.control, adapt=_settled_method(config.control.adapt)),
    )
    parts = {part: plain(getattr(settled, part)) for part in parts_of(stage, config.probe.stage)}
    if not config.worlds or max(config.seeds) < config.worlds:  # each seed has tasks of its own
        del parts["worlds"]
    if stage == "tune":
        parts["control"]["train"] = ControlConfig.train
    taught = stage == "student" and config.lesson.teacher not in NETWORK_TEACHERS
    if taught or (stage == "probe" and config.probe.stage == "steer"):  # no fine-tuned network is asked for
        read = () if taught and config.lesson.teacher == "truth" else (*TASK_FIELDS, "replay")
        task_fields = replace(FINETUNE, **{name: getattr(settled.finetune, name) for name in read})
        parts |= {"finetune": plain(task_fields), "adapt": plain(AdaptConfig())}
    return parts


def _settled(stage: str, config: Config) -> TrainingConfig:
    """A stage's training with what it does not read at its default."""
    training: TrainingConfig = getattr(config, stage)
    if not training.steps:
        return replace(getattr(base(config.world), stage), steps=0)
    changes: dict[str, Any] = {}
    if training.penalty == "none" or not training.strength:
        changes |= {"penalty": "none", "strength": TrainingConfig.strength}
    return replace(training, **changes)


def _settled_method(adapt: AdaptConfig) -> AdaptConfig:
    read = {name: getattr(adapt, name) for name in METHOD_FIELDS[adapt.method]}
    if "layers" in read:
        read["layers"] = tuple(sorted(adapt.layers))
    return replace(AdaptConfig(method=adapt.method), **read)


def run_id(stage: str, config: Config) -> str:
    """The name of a stage's run: `stage-` and ten hexadecimal digits of a hash of its content."""
    return f"{stage}-{hashlib.sha256(json.dumps(content(stage, config), sort_keys=True).encode()).hexdigest()[:10]}"


def restored(stage: str, stored: Mapping[str, Any]) -> Config:
    """The configuration with this content of a stage; all that the stage does not depend on is at its default.

    Raises ConfigError for content that no configuration has.
    """
    if stage == "scratch" and isinstance(scratch := stored.get("scratch"), Mapping):
        stored = {name: part for name, part in stored.items() if name != "scratch"}
        recipe = {name: value for name, value in scratch.items() if name not in TASK_FIELDS}
        stored["pretrain"] = recipe
        stored["finetune"] = {name: value for name, value in scratch.items() if name in TASK_FIELDS}
        stored["probe"] = {"scratch_steps": recipe.get("steps")}
    world = stored.get("world")
    if not isinstance(world, str) or world not in WORLDS:
        refuse("world", world, ", ".join(WORLDS))
    probe = stored.get("probe")
    probed = probe.get("stage") if isinstance(probe, Mapping) else None
    return override(base(world), stored, sections_of(stage, probed if probed in PROBED else "finetune"))


def sections_of(stage: str, probed: str = "finetune") -> set[str]:
    """The sections, and `world` and `seeds`, that a stage depends on; of a probe, also those of the `probed` stage."""
    sections = set(parts_of(stage, probed))
    return (sections - {"scratch"}) | ({"pretrain", "finetune", "probe"} if "scratch" in sections else set())


def nearest_preset(stage: str, config: Config) -> str:
    """The preset that agrees with a configuration in the most fields that a stage depends on; the first of equals."""

    def agreeing(name: str) -> int:
        there, here = (dict(leaves(content(stage, c))) for c in (PRESETS[name], config))
        return sum(there.get(path) == value for path, value in here.items())

    return max((name for name in PRESETS if PRESETS[name].world == config.world), key=agreeing)


def stored_text(stage: str, config: Config) -> str:
    """The text of a run's config.toml: the content that its id is a hash of, and nothing else."""
    return tomli_w.dumps(content(stage, config))


def parents_of(stage: str, config: Config) -> tuple[str, ...]:
    """Names the stages that a stage starts from, learns from or measures; training starts from the first one."""
    if stage == "student" and config.lesson.teacher not in NETWORK_TEACHERS:
        return ("pretrain",)
    if stage == "probe":
        return ("pretrain", config.probe.stage, "scratch")
    return STAGES[stage].parents


def parent_ids(stage: str, config: Config) -> list[str]:
    """Names the runs of those stages, in the same order."""
    return [run_id(parent, config) for parent in parents_of(stage, config)]


def rests_on(stages: Collection[str], config: Config) -> tuple[str, ...]:
    """Names these stages and all that they rest on, in the order in which they come to their end."""

    def needed(stage: str) -> set[str]:
        return {stage}.union(*(needed(parent) for parent in parents_of(stage, config)))

    found = set[str]().union(*(needed(stage) for stage in stages))
    return tuple(stage for stage in STAGES if stage in found)
