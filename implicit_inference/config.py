"""Every knob of a run with its default and allowed range; presets; TOML in and out; run ids.

No jax here: a wrong value is refused before anything slow is imported.
"""

import dataclasses
import hashlib
import json
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import cattrs
import tomli_w


class ConfigError(ValueError):
    """A wrong configuration, in one line that names the field, the value and what is allowed."""


def knob(default: Any, about: str, least: float | None = None, above: float | None = None, most: float | None = None):
    """A field with its documentation and its range: at least `least`, more than `above`, at most `most`."""
    return field(default=default, metadata={"about": about, "least": least, "above": above, "most": most})


@dataclass(frozen=True)
class TasksConfig:
    """The world: y = <w, x> + noise, w from a discrete set or from a Gaussian."""

    dim: int = knob(4, "d, the length of a task vector and of an input", least=1)
    n_discrete: int = knob(4, "n, tasks in the discrete set", least=1)
    prior_std: float = knob(1.0, "tau, standard deviation of every weight", above=0)
    noise_std: float = knob(1.0, "sigma, standard deviation of the label noise", above=0)


@dataclass(frozen=True)
class PromptsConfig:
    """How tasks are shown."""

    length: int = knob(12, "K, pairs in a prompt (the last has K-1 exemplars in its context)", least=2)
    tokens: Literal["compact", "interleaved"] = knob(
        "compact", "one token (x_k, x_{k-1}, y_{k-1}) a pair, or the paper's two tokens x_k, y_k"
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
    """One training stage: what is drawn, what is learned, how."""

    steps: int = knob(1000, "optimiser steps", least=1)
    batch: int = knob(64, "prompts in a step", least=1)
    discrete_prob: float = knob(0.5, "alpha, probability that a prompt's task is from the discrete set", least=0, most=1)
    target: Literal["label", "noise_free", "posterior_mean"] = knob(
        "label", "regress on y_k, on <w, x_k>, or on the exact E[y_k | past, x_k]: one minimiser, falling variance"
    )
    optimizer: Literal["adam", "adamw", "muon"] = knob("adam", "update rule")
    learning_rate: float = knob(1e-3, "peak learning rate", above=0)
    warmup: int = knob(0, "steps of linear warm-up", least=0)
    final_fraction: float = knob(1.0, "the cosine ends at this fraction of the peak; 1 = constant", least=0, most=1)
    weight_decay: float = knob(0.0, "decoupled weight decay (adamw, muon)", least=0)
    clip: float = knob(1.0, "largest global norm of the gradient", above=0)
