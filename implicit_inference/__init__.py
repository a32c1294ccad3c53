"""A simulator of implicit task inference: exact Bayes, conjugate prompting, forgetting, in closed form.

The public names load on first use, so that the command line starts without jax.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "regression.tasks": ("DiscreteTasks", "GaussianTasks", "Mixture", "TaskDistribution"),
    "regression.prompts": ("Batch", "Predictor", "Prompts", "sample_batch"),
    "regression.bayes": ("Predictive", "bayes_predictor", "component_posterior", "posterior_predictive"),
    "regression.conjugate": (
        "Chain",
        "Conjugation",
        "Identity",
        "RotateInputs",
        "ScaleInputs",
        "ScaleLabels",
        "ShiftLabels",
        "conjugated",
    ),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
