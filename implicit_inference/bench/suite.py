"""The benchmark: one command, one run, one page of tables in Markdown."""

import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from implicit_inference.bench import memory
from implicit_inference.bench.timing import LEAST_ROUNDS, Clock, Contestant, Times, take_turns
from implicit_inference.bench.training import STEPS, Trainer, compile_seconds, sized, step_flops
from implicit_inference.config.errors import UserError
from implicit_inference.regression.conjugations import ScaleLabels
from implicit_inference.regression.predictive import posterior_predictive
from implicit_inference.regression.prompts import Prompts, sample_batch, to_tokens
from implicit_inference.regression.tasks import DiscreteTasks, GaussianTasks, Mixture
from implicit_inference.runs.devices import make_mesh
from implicit_inference.runs.runtime import cores

SEEDS = 8
ROUNDS = {"S": 9, "M": 9, "G": 5}
"""At most."""
PEAK_SIZE = {"cpu": 2048}
"""Rows of the matrices whose product gives the peak; 8192 on accelerators."""
PROBED = {"S": 1024, "M": 1024, "G": 64}
"""Prompts in a call of the network."""


Rows = Callable[[float], Iterable[Sequence[str]]]
"""seconds that it may take -> rows of a table"""


def run(sizes: Sequence[str], minutes: float, quick: bool = False, say: Callable[[str], None] = print) -> None:
    """Measures and prints everything within so many minutes; a part that has begun runs at least LEAST_ROUNDS.

    Every part may take an equal share of the time that those before it have left. What no time is left for is said.
    `quick` leaves out what compiles or starts processes to no other end: compilation and memory.
    """
    began, tables = time.perf_counter(), _tables(sizes)
    if quick:
        tables = {title: table for title, table in tables.items() if title not in ("Compilation", "Memory")}
    clock = Clock(60 * minutes, sum(len(parts) for _, parts in tables.values()))
    say(machine())
    say(f"As many rounds as fit into {minutes:g} minutes in all, {LEAST_ROUNDS} at least; compilation and memory once.")
    if quick:
        say("Quick: fewer sizes and rounds, whose figures vary more; without compilation and memory.")
    for title, (header, parts) in tables.items():
        say(f"\n## {title}\n")
        _line(say, header)
        say(f"|{'---|' * len(header)}")
        for name, rows in parts.items():
            seconds = clock.share()
            for row in rows(seconds) if seconds else [[name, "no time left"]]:
                _line(say, [*row, *[""] * (len(header) - len(row))])
    say(f"\nMinutes taken: {(time.perf_counter() - began) / 60:.1f}")


def _tables(sizes: Sequence[str]) -> dict[str, tuple[Sequence[str], dict[str, Rows]]]:
    """{title: (header, {part: its rows})}"""

    def by_size(row: Callable[[str, float], list[str]]) -> dict[str, Rows]:
        def rows(size: str, seconds: float) -> Iterable[list[str]]:
            return [row(size, seconds)]

        return {size: partial(rows, size) for size in sizes}

    return {
        "Training": (TRAINING, by_size(training_row)),
        "Parts of a step": (PARTS, by_size(parts_row)),
        "Compilation": (COMPILATION, by_size(compile_row)),
        "Inference": (INFERENCE, by_size(network_row) | {"exact mixture": exact_rows}),
        "Memory": (memory.COLUMNS, {"demo": partial(memory.rows, "demo")}),
    }


def machine() -> str:
    """Where this runs."""
    device = jax.devices()[0]
    torch = _torch_version() or 'absent (pip install -e ".[bench]" brings it)'
    return (
        f"{len(jax.devices())} x {device.device_kind} ({device.platform}), {len(cores())} cores of {_processor()}, "
        f"Python {platform.python_version()}, jax {jax.__version__}, PyTorch {torch}.\n"
        "Times in milliseconds and ratios: median (quartiles) over rounds in which all take their turns."
    )


TRAINING = (
    "size",
    "rounds",
    "GFLOP a step",
    "peak GFLOP/s",
    "step on given data",
    "share of peak",
    "PyTorch",
    "PyTorch / ours",
    "on one device",
    "step with new data",
    f"{SEEDS} seeds, new data",
    f"{SEEDS} seeds / one",
    f"share of peak, {SEEDS} seeds",
)


def training_row(size: str, seconds: float) -> list[str]:
    """A step of one seed against PyTorch's on the same data and weights, one device's, and eight packed seeds'."""
    trainer = _trainer(size)
    contestants: dict[str, Contestant] = {
        "step": trainer.steps_on_given_data(),
        "whole": trainer.chunks(),
        "packed": _trainer(size, SEEDS).chunks(),
        "peak": peak(trainer.config.model.compute_dtype, len(jax.devices())),
        "peak on one device": peak(trainer.config.model.compute_dtype, 1),
    }
    if trainer.programs.packed.mesh.size > 1:
        contestants["one device"] = _trainer(size, one_device=True).steps_on_given_data()
    if jax.default_backend() == "cpu" and _torch_version():
        contestants["torch"] = pytorch_steps(trainer)
    times = take_turns(contestants, ROUNDS[size], trainer.steps, seconds)
    flops, step, torch, single = step_flops(trainer.config), times["step"], times.get("torch"), times.get("one device")
    rate = peak_flops() / trainer.steps / min(times["peak"].median, times["peak on one device"].median)
    return [
        size,
        str(len(step.rounds)),
        f"{flops / 1e9:.3g}",
        f"{rate / 1e9:.0f}",
        step.as_text(),
        f"{flops / step.median / rate:.0%}",
        torch.as_text() if torch else "-",
        torch.over(step) if torch else "-",
        single.as_text() if single else "-",
        times["whole"].as_text(),
        times["packed"].as_text(),
        times["packed"].over(times["whole"]),
        f"{SEEDS * flops / times['packed'].median / rate:.0%}",
    ]


def pytorch_steps(trainer: Trainer) -> Callable[[], float]:
    """Runs as many PyTorch steps as a chunk has, from the same weights on the same batch; refuses another loss."""
    import torch

    from implicit_inference.bench.pytorch import Decoder, make_step

    torch.set_num_threads(len(cores()))
    layout, heads = trainer.config.prompts.tokens, trainer.config.model.heads
    first = partial(jax.tree.map, lambda leaf: leaf[0])
    params, patch, (prompts, targets) = map(first, (trainer.initial, trainer.fresh().params, trainer.batch))
    read = slice(None, None, 2 if layout == "interleaved" else 1)
    training = trainer.training
    given = torch.tensor(np.array(to_tokens(layout, prompts))), torch.tensor(np.array(targets))
    step = make_step(Decoder(params, heads), lambda: given, read, training.learning_rate, training.clip)
    ours, theirs = float(jax.jit(trainer.loss)(patch, prompts, targets)), step()
    if abs(ours - theirs) > 1e-5 * ours:
        raise UserError(f"the PyTorch decoder does not compute the same: its loss is {theirs}, ours {ours}")

    def steps() -> float:
        return [step() for _ in range(trainer.steps)][-1]

    return steps


def peak(dtype: str, devices: int) -> Contestant:
    """A product of two large square matrices, the rows of one spread over `devices`: the fastest is the peak."""
    mesh = Mesh(np.array(jax.devices()[:devices]), "rows")
    left, right = jax.random.normal(jax.random.key(0), (2, _peak_size(), _peak_size()), dtype)
    rows = jax.device_put(left, NamedSharding(mesh, P("rows")))
    columns = jax.device_put(right, NamedSharding(mesh, P()))
    product = jax.jit(lambda rows, columns: jnp.matmul(rows, columns, precision="highest"))
    return lambda: product(rows, columns)


def peak_flops() -> float:
    """Operations of that product."""
    return 2.0 * _peak_size() ** 3


def _peak_size() -> int:
    return PEAK_SIZE.get(jax.default_backend(), 8192) // len(jax.devices()) * len(jax.devices())


def _processor() -> str:
    """The CPU's name, where the system tells it."""
    described = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in described.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


PARTS = ("size", "rounds", "data", "forward", "backward", "optimiser", "whole step")


def parts_row(size: str, seconds: float) -> list[str]:
    """The parts of a step, each as a program of its own; backward is both ways less forward."""
    trainer = _trainer(size)
    times = take_turns(trainer.parts() | {"whole": trainer.chunks()}, ROUNDS[size], trainer.steps, seconds)
    backward = times["both"].median - times["forward"].median
    parts = [times["data"].as_text(), times["forward"].as_text(), f"{backward * 1e3:.3g}"]
    rounds = str(len(times["whole"].rounds))
    return [size, rounds, *parts, times["optimiser"].as_text(), times["whole"].as_text()]


COMPILATION = ("size", "empty cache s", "full cache s")


def compile_row(size: str, seconds: float) -> list[str]:
    """Compile times of a chunk, measured once, however long they take."""
    with tempfile.TemporaryDirectory() as directory:
        taken = compile_seconds(sized(size, 1), STEPS[size], Path(directory))
    return [size, *(f"{found:.2g}" for found in taken.values())]


INFERENCE = ("work", "rounds", "prompts", "ms", "prompts a second")


def network_row(size: str, seconds: float) -> list[str]:
    """The conjugated network."""
    trainer, n = _trainer(size, one_device=True), PROBED[size]
    packed = trainer.programs.packed
    batch = packed.repeated(_prompts(trainer.config.tasks.dim, trainer.config.prompts.length, n))
    scale = packed.repeated(ScaleLabels(jnp.asarray(2.0)))
    work = partial(packed.predict, trainer.programs.network(trainer.initial), batch, scale)
    times = take_turns({"it": work}, ROUNDS[size], seconds=seconds)["it"]
    return _speed(f"network {size}, labels scaled", n, times)


def exact_rows(seconds: float) -> Iterable[list[str]]:
    """Exact inference at the paper's size, whole and with prompts spread over devices."""
    n = 1024
    prompts, mesh = _prompts(20, 40, n), make_mesh(1, n)
    tasks = DiscreteTasks(jax.random.normal(jax.random.key(1), (64, 20)))
    mixture = Mixture((tasks, GaussianTasks(jnp.zeros(20), jnp.asarray(1.0))), jnp.log(jnp.array([0.5, 0.5])))
    exact = jax.jit(lambda prompts: posterior_predictive(mixture, prompts, 1.0))
    spread = jax.jit(jax.shard_map(exact, mesh=mesh, in_specs=P("batch"), out_specs=P("batch"), check_vma=False))
    laid_out = jax.device_put(prompts, NamedSharding(mesh, P("batch")))
    contestants = {
        "exact mixture, n=64, d=20, K=40": lambda: exact(prompts),
        f"the same, prompts on {mesh.size} devices": lambda: spread(laid_out),
    }
    for name, times in take_turns(contestants, 9, seconds=seconds).items():
        yield _speed(name, n, times)


@cache
def _trainer(size: str, n_seeds: int = 1, one_device: bool = False) -> Trainer:
    return Trainer(sized(size, n_seeds), STEPS[size], one_device)


def _prompts(dim: int, length: int, n: int) -> Prompts:
    gaussian = GaussianTasks(jnp.zeros(dim), jnp.asarray(1.0))
    return sample_batch(jax.random.key(0), gaussian, n, length, 1.0).prompts


def _speed(work: str, n: int, times: Times) -> list[str]:
    return [work, str(len(times.rounds)), str(n), times.as_text(), f"{n / times.median:,.0f}"]


def _torch_version() -> str | None:
    try:
        import torch
    except ImportError:
        return None
    return torch.__version__


def _line(say: Callable[[str], None], cells: Sequence[str]) -> None:
    say(f"| {' | '.join(cells)} |")
