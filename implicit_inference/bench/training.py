"""Timings of training, at sizes that have names: whole chunks, steps on given data, their parts, compilation."""

import time
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.experimental.compilation_cache import compilation_cache

from implicit_inference import keys
from implicit_inference.bench.timing import Contestant
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.fields import Config
from implicit_inference.keys import Stream
from implicit_inference.regression.prompts import token_shape
from implicit_inference.runs import devices
from implicit_inference.training import optimisers
from implicit_inference.training.batches import log_weights, whole
from implicit_inference.training.programs import Programs
from implicit_inference.training.stages import stage_of
from implicit_inference.training.steps import TrainState, mean_over_slices, train_chunk

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


class Trainer:
    """The pretraining of a configuration in chunks of `steps`, on all devices or on one."""

    def __init__(self, config: Config, steps: int, one_device: bool = False):
        self.config, self.steps = config, steps
        self.programs = Programs(self.config, devices.make_mesh(1, 1) if one_device else None)
        self.training = self.config.pretrain
        self.stage = stage_of(self.config, "pretrain")
        self.optimizer = optimisers.make_optimizer(self.training)
        self.rate = self.programs.packed.repeated(optimisers.schedule(self.training))
        self.weights = self.programs.packed.repeated(log_weights(self.training.discrete_prob))
        self.stream = self.programs.packed.by_seed(lambda seed: keys.stream(seed, Stream.PRETRAIN))

    def fresh(self) -> TrainState:
        """The state before the first step, packed."""
        return self.programs.first_state(self.stage, ())

    @cached_property
    def initial(self) -> Any:
        """The fresh parameters of the network, packed."""
        return self.stage.merge(self.fresh().params, {})

    def draw(self, seed: Array, weights: Array, key: Array) -> Any:
        """The device's part of a batch."""
        return self.stage.draw(seed, weights, key, devices.device_part)

    @cached_property
    def batch(self) -> Any:
        """One batch (prompts, targets) of each seed, packed."""

        def all_of_it(seed: Array, key: Array, weights: Array) -> Any:
            return self.stage.draw(seed, weights, key, whole)

        return self.programs.packed.program(all_of_it)(self.programs.packed.seeds, self.stream, self.weights)

    def predict(self, params: Any, prompts: Any) -> Array:
        """The network as a function of what trains."""
        return self.stage.predict(self.stage.merge(params, {}), prompts)

    def loss(self, params: Any, prompts: Any, targets: Array) -> Array:
        return jnp.mean(self.programs.world.score.loss(self.predict(params, prompts), targets))

    def advance(self, state: TrainState) -> tuple[TrainState, Array]:
        """A chunk as a run takes it, with new data at every step: the state after it, and its losses."""
        chunk = self.programs.chunk("pretrain", self.steps)
        return chunk(self.programs.packed.seeds, self.stream, self.weights, self.rate, state)

    def chunks(self) -> Contestant:
        """Chunks as a run takes them, with new data at every step."""
        return _threaded(self.advance, self.fresh())

    def steps_on_given_data(self) -> Contestant:
        """Chunks whose every step sees the same batch: the network and the optimiser alone."""
        slices = self.programs.slices(self.training)

        def chunk(key: Array, batch: Any, state: TrainState) -> Any:
            part, mean = devices.device_part(batch), devices.batch_mean
            return train_chunk(
                state,
                key,
                self.steps,
                lambda key: part,
                self.predict,
                self.programs.world.score.loss,
                self.optimizer,
                slices,
                mean,
            )

        compiled = self.programs.packed.program(chunk, donate=(2,))
        return _threaded(lambda state: compiled(self.stream, self.batch, state), self.fresh())

    def parts(self) -> dict[str, Contestant]:
        """Data, forward, forward and backward, optimiser: each repeated as often as a chunk has steps."""
        state = self.fresh()

        def data(seed: Array, key: Array, weights: Array) -> Any:
            steps = jax.vmap(lambda t: jax.random.fold_in(key, t))(jnp.arange(self.steps))
            return jax.vmap(partial(self.draw, seed, weights))(steps)

        slices = self.programs.slices(self.training)

        def repeated(once: Callable[[Any], Any], first: Any) -> Any:
            return jax.lax.fori_loop(0, self.steps, lambda _, value: once(value), first)

        def forward(state: TrainState, batch: Any) -> Array:
            part = devices.device_part(batch)

            def once(total: Array) -> Array:
                loss = partial(self.loss, _after(state.params, total))
                return total + devices.batch_mean(mean_over_slices(loss, part, slices))

            return repeated(once, jnp.zeros(()))

        def both_ways(state: TrainState, batch: Any) -> Any:
            part = devices.device_part(batch)

            def once(params: Any) -> Any:
                gradient = mean_over_slices(partial(jax.grad(self.loss), params), part, slices)
                return jax.tree.map(lambda leaf, change: leaf + 0 * change, params, devices.batch_mean(gradient))

            return repeated(once, state.params)

        def update(state: TrainState) -> Any:
            def once(carry: Any) -> Any:
                params, opt_state = carry
                updates, opt_state = self.optimizer.update(params, opt_state, params)
                return optax.apply_updates(params, updates), opt_state

            return repeated(once, (state.params, state.opt_state))

        over_seeds, seeds = self.programs.packed.program, self.programs.packed.seeds
        programs = {name: over_seeds(part) for name, part in (("forward", forward), ("both", both_ways))}
        draw, step = over_seeds(data), over_seeds(update)
        return {
            "data": lambda: draw(seeds, self.stream, self.weights),
            **{name: partial(program, state, self.batch) for name, program in programs.items()},
            "optimiser": lambda: step(state),
        }


def _after(params: Any, earlier: Array) -> Any:
    """The parameters, in a way that nothing which uses them can be computed before `earlier`."""
    return jax.tree.map(lambda leaf: leaf + 0 * earlier, params)


def _threaded(chunk: Callable[[Any], tuple[Any, Array]], state: Any) -> Contestant:
    """A contestant that hands the state of one call to the next, as training does."""
    held = [state]

    def run() -> Array:
        held[0], losses = chunk(held[0])
        return losses

    return run


def compile_seconds(config: Config, steps: int, cached: Path) -> dict[str, float]:
    """Seconds to compile a chunk of one seed: with an empty cache in the directory `cached`, and with a full one."""
    found = {}
    before = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    jax.config.update("jax_compilation_cache_dir", str(cached))
    compilation_cache.reset_cache()
    try:
        for name in ("empty cache", "full cache"):
            jax.clear_caches()
            trainer = Trainer(config, steps)
            chunk = trainer.programs.chunk("pretrain", trainer.steps)
            arguments = trainer.programs.packed.seeds, trainer.stream, trainer.weights, trainer.rate, trainer.fresh()
            began = time.perf_counter()
            chunk.__wrapped__.lower(*arguments).compile()  # type: ignore[attr-defined]
            found[name] = time.perf_counter() - began
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        compilation_cache.reset_cache()
    return found
