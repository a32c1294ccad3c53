"""Fine-tuning by low-rank updates (LoRA: Hu et al. 2021, arXiv:2106.09685) on answers in English.

W becomes W + s A B, with A drawn and B = 0 at first; s, the *dose*, is 1 while it trains. All matrices of all blocks
have an update. A batch depends on the seed and the step alone, so that a run resumes to where it would have been.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from implicit_inference.config.errors import UserError
from implicit_inference.config.fields import TrainingConfig
from implicit_inference.lm import prompts
from implicit_inference.lm.models.architecture import Architecture
from implicit_inference.lm.models.directory import Directory
from implicit_inference.lm.models.forward import Params
from implicit_inference.lm.scores import LENGTH, Batch, Encoded, PromptError, batch, log_probs, rounded_up
from implicit_inference.lm.store import LmRun
from implicit_inference.training.optimisers import make_optimizer

Patch = dict[str, dict[str, Array]]
"""name of a matrix -> its A [layers, in, rank] and B [layers, rank, out]"""

SAVE_SECONDS = 30.0
"""Seconds of work that an interruption may cost."""
HELD_OUT = 32
"""Examples, of those that are not for tuning, whose loss is measured before and after."""

Report = Callable[[float, str], None]
"""(fraction done, what there is to say)"""


@dataclass(frozen=True)
class Tuning:
    """Settings of a fine-tuning; `tasks` are lessons of `prompts.LESSONS`, each as likely as the other."""

    tasks: tuple[str, ...]
    steps: int
    batch: int
    rank: int
    learning_rate: float
    weight_decay: float
    dtype: str


def begin(arch: Architecture, rank: int, seed: int) -> Patch:
    """The update to start from, which changes nothing: A ~ N(0, 1/in), B = 0."""
    rng = np.random.default_rng(seed)
    return {
        name: {
            "a": jnp.asarray(rng.normal(0, inner**-0.5, (arch.layers, inner, rank)), jnp.float32),
            "b": jnp.zeros((arch.layers, rank, outer), jnp.float32),
        }
        for name, (inner, outer) in arch.kernels.items()
    }


def tuned(params: Params, patch: Patch, dose: float | Array = 1.0) -> Params:
    """The parameters with an update beside their matrices, `dose` times."""
    blocks = dict(params["blocks"])
    for name, factors in patch.items():
        dtype = blocks[name]["kernel"].dtype
        update = {"a": factors["a"].astype(dtype), "b": (dose * factors["b"]).astype(dtype)}
        blocks[name] = blocks[name] | update
    return params | {"blocks": blocks}


def loss(arch: Architecture, params: Params, examples: Batch) -> Array:
    """Minus the mean log p of the tokens to be learned."""
    log_prob, _ = log_probs(arch, params, examples)
    learned = examples.answer > 0
    return -jnp.where(learned, log_prob, 0.0).sum() / learned.sum().astype(jnp.float32)


def examples(model: Directory, tasks: tuple[str, ...], n: int, rng: np.random.Generator, tuning: bool = True) -> Batch:
    """Draws a batch of examples; those with `tuning` false are never tuned on."""
    rows = [_encoded(model, *prompts.lesson(tasks[int(rng.integers(len(tasks)))], rng, tuning)) for _ in range(n)]
    length = rounded_up(max(row.length for row in rows), LENGTH)
    return batch(rows, length, length, n)


def _encoded(model: Directory, prompt: str, answer: str) -> Encoded:
    """The tokens of an example; plain text has its first token for a prompt."""
    whole = model.tokenizer.encode(prompt + answer).ids
    before = model.tokenizer.encode(prompt).ids if prompt else whole[:1]
    if whole[: len(before)] != before or len(whole) == len(before):
        raise PromptError(
            f"{model.path}: this tokenizer joins {prompt[-8:]!r} and {answer[:8]!r}: no lesson can be made"
        )
    if len(whole) > model.architecture.positions:
        most = f"at most {model.architecture.positions} (max_position_embeddings)"
        raise PromptError(f"{model.path}: {len(whole)} tokens in an example: allowed: {most}")
    return Encoded(before, whole[len(before) :], [])


def tune(model: Directory, tuning: Tuning, seeds: tuple[int, ...], run: LmRun, report: Report) -> list[dict[str, Any]]:
    """Trains what is missing of a run; returns the losses of all seeds, rows with a seed and a step.

    `loss` is that of the step's own batch; `held_out` is that of other examples, before the first and after the last.
    """
    if missing := [seed for seed in seeds if not run.has(_kept(seed))]:
        params, optimizer = model.load(tuning.dtype), _optimizer(tuning)
        step = jax.jit(partial(_step, model.architecture, optimizer))
        for i, seed in enumerate(missing):
            trainer = _Trainer(model, params, tuning, seed, run, optimizer, step)
            trainer.train(lambda fraction, text, i=i: report((i + fraction) / len(missing), text))  # type: ignore[misc]
    rows = []
    for seed in seeds:
        kept = run.read(_kept(seed))
        before, after = kept["held_out"].tolist()
        rows += [{"seed": seed, "step": step, "loss": loss} for step, loss in enumerate(kept["losses"].tolist())]
        rows += [{"seed": seed, "step": 0, "held_out": before}, {"seed": seed, "step": tuning.steps, "held_out": after}]
    return rows


def patch_of(run: LmRun, seed: int) -> Patch:
    """The update of a finished seed."""
    return _nested(run.read(_kept(seed)))


def _kept(seed: int) -> str:
    """The file of a finished seed."""
    return f"seed-{seed}.safetensors"


@dataclass(frozen=True)
class _Trainer:
    """One seed of a tuning."""

    model: Directory
    params: Params
    tuning: Tuning
    seed: int
    run: LmRun
    optimizer: Any
    step: Any

    def train(self, report: Report) -> None:
        """Trains from where it was, and keeps the update with its losses."""
        patch, state, losses, before = self._state()
        saved = time.monotonic()
        for i in range(len(losses), self.tuning.steps):
            rng = np.random.default_rng([self.seed, 0, i])
            shown = examples(self.model, self.tuning.tasks, self.tuning.batch, rng)
            patch, state, value = self.step(self.params, patch, state, shown)
            losses.append(float(value))
            if not np.isfinite(losses[-1]):
                fault = f"the loss of seed {self.seed} is not finite at step {i}"
                raise UserError(f"{self.run.id}: {fault}: try a smaller --learning-rate, or --dtype float32")
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save(patch, state, losses, before)
                saved = time.monotonic()
            report((i + 1) / self.tuning.steps, f"seed {self.seed}, step {i + 1}, loss {losses[-1]:.3f}")
        held_out = np.array([before, self._held_out(patch)])
        self.run.write(_kept(self.seed), _flat(patch) | {"losses": np.array(losses), "held_out": held_out})
        self.run.path(self._name).unlink(missing_ok=True)

    @property
    def _name(self) -> str:
        return f"state-{self.seed}.safetensors"

    def _held_out(self, patch: Patch) -> float:
        """The loss on examples that are never tuned on."""
        rng = np.random.default_rng([self.seed, 1])
        shown = examples(self.model, self.tuning.tasks, HELD_OUT, rng, tuning=False)
        return float(_patched_loss(self.model.architecture, self.params, patch, shown))

    def _state(self) -> tuple[Patch, Any, list[float], float]:
        """The update, the optimiser's state, the losses so far and the one before: those kept, or new ones."""
        patch = begin(self.model.architecture, self.tuning.rank, self.seed)
        state = self.optimizer.init(patch)
        if not self.run.has(self._name):
            return patch, state, [], self._held_out(patch)
        kept = self.run.read(self._name)
        leaves = [jnp.asarray(kept[f"state{i}"]) for i in range(len(jax.tree.leaves(state)))]
        state = jax.tree.unflatten(jax.tree.structure(state), leaves)
        return _nested(kept), state, kept["losses"].tolist(), float(kept["before"])

    def _save(self, patch: Patch, state: Any, losses: list[float], before: float) -> None:
        leaves = {f"state{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
        self.run.write(self._name, _flat(patch) | leaves | {"losses": np.array(losses), "before": np.array(before)})


def _of_patch(arch: Architecture, params: Params, patch: Patch, shown: Batch) -> Array:
    return loss(arch, tuned(params, patch), shown)


_patched_loss = jax.jit(_of_patch, static_argnums=0)


def _step(
    arch: Architecture, optimizer: Any, params: Params, patch: Patch, state: Any, shown: Batch
) -> tuple[Patch, Any, Array]:
    value, gradient = jax.value_and_grad(partial(_of_patch, arch), argnums=1)(params, patch, shown)
    updates, state = optimizer.update(gradient, state, patch)
    return optax.apply_updates(patch, updates), state, value


def _optimizer(tuning: Tuning) -> Any:
    """AdamW with gradients clipped at norm 1, at a constant rate."""
    config = TrainingConfig(
        steps=tuning.steps,
        optimizer="adamw",
        learning_rate=tuning.learning_rate,
        weight_decay=tuning.weight_decay,
        warmup=0,
        final_fraction=1.0,
        clip=1.0,
    )
    return make_optimizer(config)


def _flat(patch: Patch) -> dict[str, Any]:
    return {f"{name}/{factor}": np.asarray(value) for name, of in patch.items() for factor, value in of.items()}


def _nested(arrays: dict[str, Any]) -> Patch:
    found: Patch = {}
    for path, value in arrays.items():
        if "/" in path:
            name, factor = path.split("/")
            found.setdefault(name, {})[factor] = jnp.asarray(value)
    return found
