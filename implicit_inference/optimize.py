"""Optimisers and the learning-rate schedule, as optax transformations."""

import jax
import optax
from optax.contrib import MuonDimensionNumbers, muon

from implicit_inference.sections import TrainingConfig


def schedule(config: TrainingConfig) -> optax.Schedule:
    """Linear warm-up over `warmup` steps, then a cosine down to `final_fraction` of the learning rate."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=config.learning_rate,
        warmup_steps=config.warmup,
        decay_steps=config.steps,
        end_value=config.final_fraction * config.learning_rate,
    )


def make_optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """Gradient clipping by global norm, then the configured optimiser on the schedule."""
    rate = schedule(config)
    rules = {
        "adam": lambda: optax.adam(rate),
        "adamw": lambda: optax.adamw(rate, weight_decay=config.weight_decay),
        "muon": lambda: muon(
            rate,
            weight_decay=config.weight_decay,
            adam_learning_rate=lambda step: 0.1 * rate(step),
            muon_weight_dimension_numbers=block_matrices,
        ),
    }
    return optax.chain(optax.clip_by_global_norm(config.clip), rules[config.optimizer]())


def block_matrices(params: optax.Params) -> optax.Params:
    """Muon's choice: the stacked matrices [layer, in, out] of the blocks; all other parameters are left to Adam."""
    return jax.tree.map(lambda leaf: MuonDimensionNumbers(1, 2) if leaf.ndim == 3 else None, params)
