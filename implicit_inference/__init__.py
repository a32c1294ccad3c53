"""A simulator of implicit task inference: exact Bayes, conjugate prompting, forgetting, in closed form."""

from implicit_inference.regression.bayes import (
    Predictive,
    bayes_predictor,
    component_posterior,
    posterior_predictive,
)
from implicit_inference.regression.conjugate import (
    Chain,
    Conjugation,
    Identity,
    RotateInputs,
    ScaleInputs,
    ScaleLabels,
    ShiftLabels,
    conjugated,
)
from implicit_inference.regression.prompts import Batch, Predictor, Prompts, sample_batch
from implicit_inference.regression.tasks import DiscreteTasks, GaussianTasks, Mixture, TaskDistribution

__all__ = [
    "Batch",
    "Chain",
    "Conjugation",
    "DiscreteTasks",
    "GaussianTasks",
    "Identity",
    "Mixture",
    "Predictive",
    "Predictor",
    "Prompts",
    "RotateInputs",
    "ScaleInputs",
    "ScaleLabels",
    "ShiftLabels",
    "TaskDistribution",
    "bayes_predictor",
    "component_posterior",
    "conjugated",
    "posterior_predictive",
    "sample_batch",
]
