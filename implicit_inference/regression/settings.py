"""The world of linear regression, described: its fields, presets, names. No jax here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from implicit_inference.config.errors import refuse
from implicit_inference.config.fields import (
    FACTOR,
    FINETUNE,
    STD,
    STEER,
    TUNE,
    Config,
    LessonConfig,
    ModelConfig,
    ProbeConfig,
    TrainingConfig,
    knob,
    require_distinct,
)
from implicit_inference.worlds import Description, Move

LEAST_NOISE = 1e-4
"""The least noise, as a fraction of the spread of the prior: below it, float32 labels are rounded as much as noisy."""

FLOAT, DOUBLE = 4, 8


@dataclass(frozen=True)
class TasksConfig:
    """The world: y = <w, phi(x)> + noise, w from a discrete set or from a continuous prior."""

    dim: int = knob(4, "d, the length of an input, and of a task where phi(x) = x", least=1, most=1024)
    n_discrete: int = knob(4, "n, tasks in the discrete set", least=1, most=10**6)
    prior_std: float = knob(1.0, "tau, standard deviation of every weight", **STD)
    noise_std: float = knob(1.0, "sigma, standard deviation of the label noise; at least 1e-4 tau", **STD)
    relu_features: int = knob(
        0,
        "m, tasks answer <w, relu(V x)> with V [m, d] drawn once a seed, label variance as before; 0 = phi of `prior`",
        least=0,
        most=4096,
    )
    prior: Literal["gaussian", "correlated", "student", "polynomial", "chebyshev", "fourier"] = knob(
        "gaussian",
        "the continuous prior: N(0, tau^2 I); neighbouring weights correlated by 1/2; Student's t with 3 degrees of "
        "freedom; or N(0, tau^2 I / m) over m features of x: monomials or Chebyshev to degree 2, 16 waves",
    )

    @property
    def n_weights(self) -> int:
        """The number of weights of a task."""
        features = {"polynomial": math.comb(self.dim + 2, 2), "chebyshev": 1 + 2 * self.dim, "fourier": 32}
        return self.relu_features or features.get(self.prior, self.dim)

    def check(self, path: str) -> None:
        """Raises ConfigError for noise too small beside the prior, or two maps phi at once."""
        least = LEAST_NOISE * self.prior_std
        if self.noise_std < least:
            refuse(f"{path}.noise_std", self.noise_std, f"at least {LEAST_NOISE:g} of {path}.prior_std ({least:g})")
        if self.relu_features and self.prior != "gaussian":
            refuse(f"{path}.prior", self.prior, f"'gaussian' with {path}.relu_features = {self.relu_features}")


@dataclass(frozen=True)
class PromptsConfig:
    """How tasks are shown."""

    length: int = knob(12, "K, pairs in a prompt: K-1 exemplars and a query", least=2, most=10**4)
    tokens: Literal["compact", "interleaved"] = knob(
        "compact", "one token (x_k, x_{k-1}, y_{k-1}) a pair, or the paper's two, x_k and y_k"
    )


@dataclass(frozen=True)
class Strengths(ProbeConfig):
    """The measurement; every predictor sees the same held-out prompts, under every conjugation."""

    label_scales: tuple[float, ...] = knob(
        (-1.0, 0.5, 1.25, 1.5, 2.0, 3.0, 4.0), "gammas of y -> gamma y; not 0", **FACTOR
    )
    input_scales: tuple[float, ...] = knob((0.5, 2.0), "c of x -> x / c; not 0", **FACTOR)
    label_shifts: tuple[float, ...] = knob(
        (2.0,), "lengths of v in y -> y + <v, x>; its direction is random", least=-1e4, most=1e4
    )

    def check(self, path: str) -> None:
        """Raises ConfigError for a strength that is named twice, a scale of 0, or no label scale."""
        for name, least in (("label_scales", 1), ("input_scales", 0), ("label_shifts", 0)):
            require_distinct(f"{path}.{name}", getattr(self, name), least)
        for name in ("label_scales", "input_scales"):
            if 0 in getattr(self, name):
                refuse(f"{path}.{name}", list(getattr(self, name)), "numbers other than 0")


def _finetuning_set(config: Config) -> None:
    training = config.finetune
    if training.tasks not in (allowed := ("discrete", "other", "narrow")):
        refuse("finetune.tasks", training.tasks, f"{', '.join(allowed)} in this world")
    if training.tasks == "narrow" and config.tasks.prior != "gaussian":
        refuse("finetune.tasks", "narrow", f"discrete, other with tasks.prior = {config.tasks.prior!r}")
    if training.tasks == "narrow" and config.tasks.noise_std < LEAST_NOISE * training.narrow_std:
        most = config.tasks.noise_std / LEAST_NOISE
        refuse("finetune.narrow_std", training.narrow_std, f"at most {most:g}, {1 / LEAST_NOISE:g} tasks.noise_std")
    most = 0 if training.tasks == "narrow" else config.tasks.n_discrete
    if training.n_tasks > most:
        kind = f"the tasks of finetune.tasks = {training.tasks!r}"
        refuse("finetune.n_tasks", training.n_tasks, f"at most {most}, {kind}; 0 = all")


def settled(config: Config) -> Config:
    """The configuration with the fields of fine-tuning that do nothing at their defaults."""
    training = config.finetune
    if training.tasks != "narrow":
        training = replace(training, narrow_std=TrainingConfig.narrow_std)
    if training.n_tasks == config.tasks.n_discrete:
        training = replace(training, n_tasks=0)
    return replace(config, finetune=training)


def sizes(config: Config) -> Mapping[str, int]:
    """Numbers in a prompt, tokens of a prompt, numbers in a token, outputs at a token."""
    dim, length = config.tasks.dim, config.prompts.length
    tokens, token = (length, 2 * dim + 1) if config.prompts.tokens == "compact" else (2 * length, dim)
    return {"prompt": length * (dim + 2), "tokens": tokens, "token": token, "outputs": 1}


def memory(config: Config) -> Mapping[str, int]:
    """Bytes of a seed's tasks, by the field that drives them."""
    tasks = config.tasks
    return {
        "tasks.n_discrete": tasks.n_discrete * tasks.n_weights * (FLOAT + DOUBLE),
        "tasks.relu_features": tasks.relu_features * tasks.dim * FLOAT,
    }


BASE = Config(world="regression", tasks=TasksConfig(), prompts=PromptsConfig(), probe=Strengths())

PRESETS = {
    "smoke": replace(
        BASE,
        seeds=(0, 1),
        tasks=TasksConfig(dim=2, n_discrete=3),
        prompts=PromptsConfig(length=8),
        model=ModelConfig(layers=2),
        pretrain=TrainingConfig(steps=600, warmup=50),
        finetune=replace(FINETUNE, steps=200, learning_rate=3e-4),
        lesson=LessonConfig(prompts=1024),
        student=replace(FINETUNE, steps=200, learning_rate=3e-4),
        tune=replace(TUNE, steps=200),
        steer=replace(STEER, steps=200, learning_rate=3e-4),
        probe=Strengths(prompts=512, scratch_steps=600),
    ),
    "demo": replace(BASE, pretrain=TrainingConfig(learning_rate=1e-2)),
    "paper": replace(
        BASE,
        seeds=(0, 1, 2, 3),
        tasks=TasksConfig(dim=20, n_discrete=64),
        prompts=PromptsConfig(length=41, tokens="interleaved"),
        model=ModelConfig(width=256, layers=12, heads=8, compute_dtype="bfloat16"),
        pretrain=TrainingConfig(
            steps=5000, target="label", optimizer="adam", learning_rate=1e-4, warmup=0, final_fraction=1.0
        ),
        finetune=replace(FINETUNE, learning_rate=1e-4, warmup=0, final_fraction=1.0),
        lesson=LessonConfig(prompts=25_600),
        student=replace(FINETUNE, learning_rate=1e-4, warmup=0, final_fraction=1.0),
        tune=replace(TUNE, learning_rate=1e-3, warmup=0, final_fraction=1.0),
        steer=replace(STEER, learning_rate=1e-4, warmup=0, final_fraction=1.0),
        probe=Strengths(scratch_steps=5000),
    ),
}

WORDS = {
    "loss": "noise-free squared error",
    "discrete": "discrete",
    "gaussian": "Gaussian",
    "finetuning": "fine-tuning",
    "ridge": "ridge",
    "discrete_posterior": "discrete posterior",
    "tasks.dim": "d",
    "tasks.n_discrete": "n",
    "tasks.prior_std": "τ",
    "tasks.noise_std": "σ",
    "tasks.relu_features": "ReLU features",
    "probe.label_scales": "γ",
    "probe.input_scales": "c",
    "probe.label_shifts": "|v|",
}
"""Names for people, of families, exact predictors and fields; `loss` labels an axis."""

WORLD = Description(
    base=BASE,
    presets=PRESETS,
    preferred="discrete",
    forgotten="gaussian",
    exact={"discrete": "discrete_posterior", "gaussian": "ridge"},
    moves={
        "label_scale": Move("label_scales", "labels × {:g}", "label scale γ"),
        "input_scale": Move("input_scales", "inputs ÷ {:g}"),
        "label_shift": Move("label_shifts", "labels + ⟨v, x⟩, |v| = {:g}"),
        "rotation": Move("", "inputs rotated"),
    },
    dial="label_scale",
    early=lambda config: config.tasks.dim,
    whole=lambda config: (
        config.finetune.tasks == "discrete" and config.finetune.n_tasks in (0, config.tasks.n_discrete)
    ),
    settled=settled,
    checks=((("tasks", "finetune"), _finetuning_set),),
    sizes=sizes,
    memory=memory,
    titled=("tasks.dim", "tasks.n_discrete", "tasks.noise_std"),
    words=WORDS,
)
