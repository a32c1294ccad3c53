"""How much memory and work a configuration asks for, told before anything slow starts. No jax here."""

import os
from collections.abc import Collection
from pathlib import Path

from implicit_inference.config.changes import value_of
from implicit_inference.config.chunks import chunk_length
from implicit_inference.config.errors import ConfigError, quoted
from implicit_inference.config.fields import Config
from implicit_inference.config.stages import TRAININGS
from implicit_inference.worlds import described

GIB = 2**30
FLOAT, DOUBLE = 4, 8
CACHED = 2**18
"""Numbers of a network's stream that stay in a CPU core's cache, with all that a block makes of them."""

PREDICTORS = 9
"""Predictors whose answers a probe holds at once."""


def check(config: Config, stages: Collection[str]) -> None:
    """Raises ConfigError if these stages need more memory than this machine has; it names the field to lower."""
    parts, limit = needed(config, stages), available()
    if limit is None or (total := sum(parts.values())) <= limit:
        return
    path = max(parts, key=lambda path: parts[path])
    need = f"with the other fields it asks for {total / GIB:.3g} GiB of memory"
    allowed = f"allowed: what fits into the {limit / GIB:.3g} GiB of this machine"
    raise ConfigError(f"{path} = {quoted(value_of(config, path))}: {need}; {allowed}")


def needed(config: Config, stages: Collection[str]) -> dict[str, int]:
    """Bytes that these stages need at least, by the field that drives them: the largest arrays, not every one."""
    world, model, probe, seeds = described(config.world), config.model, config.probe, len(config.seeds)
    sizes = world.sizes(config)
    tokens, token, outputs = sizes["tokens"], sizes["token"], sizes["outputs"]
    stream, block = tokens * model.width, 12 * model.width**2 + 13 * model.width
    parameters = model.layers * block + (token + tokens + 4 + outputs) * model.width
    prompt = sizes["prompt"] * FLOAT
    activations = 20 * model.layers * stream * FLOAT
    attention = 2 * model.heads * tokens**2 * FLOAT
    parts = {"model.width": 3 * parameters * seeds * FLOAT}  # with the two moments of an optimiser
    parts |= {path: size * seeds for path, size in world.memory(config).items()}
    for stage in TRAININGS:
        if stage in stages and (training := getattr(config, stage)).steps:
            at_once = min(training.batch, max(1, CACHED // stream))
            parts[f"{stage}.batch"] = chunk_length(training.steps) * training.batch * prompt
            parts["prompts.length"] = at_once * (activations + model.layers * attention)
    if "student" in stages:
        parts["lesson.prompts"] = int(config.lesson.prompts / config.lesson.farthest) * prompt * seeds
    if "probe" in stages:
        answers = PREDICTORS * len(config.families) * config.prompts.length * outputs * DOUBLE
        drawn = 2 * len(config.families) * prompt
        parts["probe.prompts"] = probe.prompts * (seeds * (answers + drawn) + 8 * stream * FLOAT + attention)
    return parts


def available() -> int | None:
    """Bytes of memory that this process may use: the machine's, or its container's; None where nothing tells."""
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):
        return None
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(limit).read_text()))
        except (OSError, ValueError):  # another kind of machine; `max`
            continue
    return min(found)


def work(config: Config, stage: str) -> float:
    """Prompts that a stage sees times the size of the network: its time, up to a factor of the machine's."""
    size, shown = float(config.model.layers * config.model.width**2), config.prompts.length * len(config.seeds)
    if stage == "probe":
        return size * shown * config.probe.prompts
    training = getattr(config, stage)
    return size * shown * training.steps * training.batch
