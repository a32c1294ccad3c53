"""The sizes that are timed, and what a training step costs in floating-point operations."""

from typing import Any

import jax

from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.fields import Config
from implicit_inference.regression.prompts import token_shape

WORLDS: dict[str, dict[str, Any]] = {
    "S": {"tasks.dim": 4, "prompts.length": 12, "model.width": 32, "model.layers": 2},
    "M": {"tasks.dim": 4, "prompts.length": 12, "model.width": 64, "model.layers": 3},
    "G": {
        "tasks.dim": 20,
        "tasks.n_discrete": 64,
        "prompts.length": 40,
        "prompts.tokens": "interleaved",
        "model.width": 256,
        "model.layers": 12,
        "model.heads": 8,
    },
}
STEPS = {"S": 40, "M": 20, "G": 1}
"""Training steps in a call, so that a call is long against the clock."""


def sized(name: str, n_seeds: int) -> Config:
    """Batches of 64 prompts, Adam on labels; activations in bfloat16 on accelerators."""
    dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    training: dict[str, Any] = {
        "target": "label",
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "warmup": 0,
        "final_fraction": 1.0,
    }
    changes = {"seeds": list(range(n_seeds)), "model.compute_dtype": dtype, "pretrain": training}
    return override(PRESETS["demo"], WORLDS[name] | changes)


def step_flops(config: Config) -> float:
    """Multiplications and additions of one seed's step: forward, and twice that backward.

    forward = 2 N (12 w^2 l + t w + w) + 4 N T w l for N = batch * T tokens of t numbers, l layers of width w:
    the dense layers, then scores and mixing over all T tokens (what the causal mask hides is counted). Norms,
    softmax, data and the optimiser are not counted.
    """
    width, layers = config.model.width, config.model.layers
    length, token = token_shape(config.prompts.tokens, config.tasks.dim, config.prompts.length)
    tokens = config.pretrain.batch * length
    dense = 2 * tokens * (12 * width**2 * layers + token * width + width)
    return 3.0 * (dense + 4 * tokens * length * width * layers)
