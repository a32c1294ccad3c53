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
from implicit_inference.regression.correlated import CorrelatedTasks
from implicit_inference.regression.features import (
    Chebyshev,
    Features,
    FeatureTasks,
    Fourier,
    Polynomial,
    ReLU,
)
from implicit_inference.regression.heavy_tails import scale_mixture, student_tasks
from implicit_inference.regression.inference import (
    entropy,
    log_posterior_odds,
    sequential_evidence,
    task_posterior,
)
from implicit_inference.regression.orbits import averaged, rotations, scales, selected, sign_flips
from implicit_inference.regression.own_noise import OwnNoise
from implicit_inference.regression.prompts import Batch, Predictor, Prompts, sample_batch
from implicit_inference.regression.sharded import ShardedTasks
from implicit_inference.regression.tasks import DiscreteTasks, GaussianTasks, Mixture, TaskDistribution

__all__ = [
    "Batch",
    "Chain",
    "Chebyshev",
    "Conjugation",
    "CorrelatedTasks",
    "DiscreteTasks",
    "FeatureTasks",
    "Features",
    "Fourier",
    "GaussianTasks",
    "Identity",
    "Mixture",
    "OwnNoise",
    "Polynomial",
    "Predictive",
    "Predictor",
    "Prompts",
    "ReLU",
    "RotateInputs",
    "ScaleInputs",
    "ScaleLabels",
    "ShardedTasks",
    "ShiftLabels",
    "TaskDistribution",
    "averaged",
    "bayes_predictor",
    "component_posterior",
    "conjugated",
    "entropy",
    "log_posterior_odds",
    "posterior_predictive",
    "rotations",
    "sample_batch",
    "scale_mixture",
    "scales",
    "selected",
    "sequential_evidence",
    "sign_flips",
    "student_tasks",
    "task_posterior",
]
