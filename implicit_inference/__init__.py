"""A simulator of implicit task inference: exact Bayes, conjugate prompting, forgetting, in closed form.

The public names load on first use, so that the command line starts without jax.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "regression.tasks": ("DiscreteTasks", "GaussianTasks", "Mixture", "TaskDistribution"),
    "regression.families.correlated": ("CorrelatedTasks",),
    "regression.families.heavy_tails": ("scale_mixture", "student_tasks"),
    "regression.families.own_noise": ("OwnNoise",),
    "regression.families.features": ("Chebyshev", "FeatureTasks", "Features", "Fourier", "Polynomial", "ReLU"),
    "regression.families.sharded": ("ShardedTasks",),
    "bayes.precision": ("thirty_digits",),
    "regression.prompts": ("Batch", "Predictor", "Prompts", "sample_batch"),
    "bayes.mixtures": ("Predictive",),
    "regression.predictive": ("bayes_predictor", "component_posterior", "posterior_predictive"),
    "regression.inference": ("entropy", "log_posterior_odds", "sequential_evidence", "task_posterior"),
    "regression.conjugations": (
        "Chain",
        "Identity",
        "RotateInputs",
        "ScaleInputs",
        "ScaleLabels",
        "ShiftLabels",
    ),
    "regression.continuations": ("continued",),
    "regression.effective": (
        "effective_prior",
        "excess",
        "forgetting_attribution",
        "log_evidence_ratio",
        "moved_odds",
        "predicted_recovery",
        "shifted_excess",
        "shifted_prior",
    ),
    "bayes.attribution": ("Attribution", "attribution"),
    "measure.formulas": ("Gate", "effective_gate", "rank_correlation"),
    "bayes.conjugation": ("Conjugation", "averaged", "conjugated"),
    "regression.orbits": ("rotations", "scales", "selected", "sign_flips"),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
