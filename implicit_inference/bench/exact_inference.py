"""Exact inference against the ways it is usually done, side by side in one run: the speed tables of docs/exactness.md.

    python -m implicit_inference.bench.exact_inference          the paper's size: K=40, d=20, n=64
    python -m implicit_inference.bench.exact_inference --lengths 16 40 128 512 --dims 8 20 64 --prompts 64

(a) a loop over the prefixes, one dense solve for each, compiled, as in-context learning code bases do it. It runs in
    a process of its own with a time limit, one prefix at a time: many batched LAPACK calls in one program can hang
    jax 0.10 on few cores.
(b) one batched solve over the cumulated normal equations, means only, in that process as well.
(c) NumPy and SciPy, a Cholesky factor for each prompt and a posterior table for the discrete tasks.
Ours runs as it is called, on one core, and in brackets with the prompts sharded over one CPU device a core; the
others leave the use of the cores to XLA and SciPy.
Ours and the others take turns of three runs, so that other work on the machine slows all of them. All predict the
same (checked here; where the float32 sums of (c) are more than 2e-3 off, its cell says so). Times are the median over
all turns, with the compilation apart.
"""

import argparse
import itertools
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from scipy import linalg, special

from implicit_inference.config.flags import Parser, number, whole
from implicit_inference.regression.predictive import posterior_predictive
from implicit_inference.regression.prompts import Prompts
from implicit_inference.regression.tasks import DiscreteTasks, GaussianTasks, Mixture
from implicit_inference.runs import process

SIGMA = 1.0
Case = tuple[int, int, int, int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=whole("lengths"), nargs="+", default=[40], help="K")
    parser.add_argument("--dims", type=whole("dims"), nargs="+", default=[20], help="d")
    parser.add_argument("--tasks", type=whole("tasks"), nargs="+", default=[64], help="n")
    parser.add_argument("--prompts", type=whole("prompts"), default=1024)
    parser.add_argument("--rounds", type=whole("rounds"), default=9)
    parser.add_argument("--limit", type=number("limit", 86400.0), default=60.0, help="seconds a comparison process")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.serve:
        with jax.default_matmul_precision("highest"):
            serve(args.serve, (args.lengths[0], args.dims[0], args.tasks[0], args.prompts))
        return 0
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    print(
        "| K, d, n, prompts | part | ours ms (sharded) | compile s | (a) loop ms | (b) batched solve ms | (c) SciPy ms "
        "| (a) / ours | (b) / ours | (c) / ours |"
    )
    print("|---" * 10 + "|")
    with jax.default_matmul_precision("highest"):  # for all contestants: ours has no other
        for length, dim, n in itertools.product(args.lengths, args.dims, args.tasks):
            race((length, dim, n, args.prompts), args.rounds, args.limit)
    return 0


def world(case: Case) -> tuple[Prompts, dict[str, Any]]:
    length, dim, n, count = case
    keys = jax.random.split(jax.random.key(0), 4)
    gaussian = GaussianTasks(jnp.zeros(dim), 1.0)
    discrete = DiscreteTasks(gaussian.sample(keys[0], n))
    xs = jax.random.normal(keys[1], (count, length, dim))
    ys = jnp.einsum("bkd,bd->bk", xs, gaussian.sample(keys[2], count)) + jax.random.normal(keys[3], (count, length))
    mixture = Mixture((discrete, gaussian), jnp.log(jnp.array([0.5, 0.5])))
    return Prompts(xs, ys), {"gaussian": gaussian, "discrete": discrete, "mixture": mixture}


def race(case: Case, rounds: int, limit: float) -> None:
    prompts, worlds = world(case)
    run = jax.jit(posterior_predictive)
    mesh = jax.make_mesh((jax.device_count(),), ("prompts",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.device_put(prompts, NamedSharding(mesh, PartitionSpec("prompts")))
    numpy_mixture = SciPy(prompts, worlds["discrete"].ws)
    for part, tasks in worlds.items():
        ours = lambda tasks=tasks: jax.block_until_ready(run(tasks, prompts, SIGMA))  # noqa: E731
        sharded = lambda tasks=tasks: jax.block_until_ready(run(tasks, spread, SIGMA))  # noqa: E731
        compile_s = seconds(ours)
        np.testing.assert_allclose(sharded().mean, ours().mean, rtol=1e-5, atol=1e-5)
        names = ["loop", "batched"] if part == "gaussian" else ["loop"]
        rivals = {name: Rival(f"{name}:{part}", case, limit) for name in names}
        scipy = getattr(numpy_mixture, part)
        scipy_agrees = np.allclose(ours().mean, scipy(), rtol=2e-3, atol=2e-3)
        for rival in rivals.values():
            rival.check(float(jnp.sum(jnp.abs(ours().mean))))
        times: dict[str, list[float]] = {"ours": [], "sharded": [], "scipy": [], **{name: [] for name in rivals}}
        for _ in range(rounds):
            turns = {"ours": ours, "sharded": sharded, "scipy": scipy}
            for name, call in turns.items():
                times[name] += [seconds(call) for _ in range(3) if sum(times[name]) < limit]
            for name, rival in rivals.items():
                times[name] += [rival.seconds() for _ in range(3)]
        for rival in rivals.values():
            rival.stop()
        record = {name: 1e3 * median_answer(values) for name, values in times.items()}
        a, b, c = record["loop"], record.get("batched", float("nan")), record["scipy"]
        cells = [
            f"{record['ours']:.1f} ({record['sharded']:.1f})",
            f"{compile_s:.1f}",
            f"{a:.0f}",
            f"{b:.0f}",
            f"{c:.0f}",
        ]
        if not scipy_agrees:
            cells[-1] += " (inaccurate)"
        ratios = [f"{other / record['ours']:.1f} ({other / record['sharded']:.1f})" for other in (a, b, c)]
        print(
            f"| {', '.join(map(str, case))} | {part} | {' | '.join(cells + ratios)} |".replace(
                "nan (nan)", "-"
            ).replace("nan", "-"),
            flush=True,
        )


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def median_answer(times: list[float]) -> float:
    """Gives the median of the runs that answered; NaN if none did."""
    return statistics.median([t for t in times if not math.isnan(t)] or [math.nan])


class Rival:
    """A comparison in a process of its own; what it does not answer within the limit is NaN from then on."""

    def __init__(self, job: str, case: Case, limit: float) -> None:
        sizes = [str(x) for x in case]
        options = ["--lengths", sizes[0], "--dims", sizes[1], "--tasks", sizes[2], "--prompts", sizes[3]]
        module = [sys.executable, "-m", "implicit_inference.bench.exact_inference"]
        self.process = subprocess.Popen(
            ["timeout", str(limit), *module, "--serve", job, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.checksum = self._ask("warm")

    def _ask(self, job: str) -> float:
        try:
            pipe, answers = self.process.stdin, self.process.stdout
            assert pipe
            assert answers
            print(job, file=pipe, flush=True)
            return float(answers.readline() or "nan")
        except BrokenPipeError:
            return float("nan")

    def check(self, expected: float) -> None:
        assert not abs(self.checksum - expected) > 2e-3 * expected, (self.checksum, expected)

    def seconds(self) -> float:
        return self._ask("time")

    def stop(self) -> None:
        self._ask("stop")
        self.process.communicate()  # which closes the pipes, too


def serve(job: str, case: Case) -> None:
    """Answers "warm" with a checksum of the means, "time" with the seconds of one run."""
    prompts, worlds = world(case)
    method, part = job.split(":")
    ws = worlds["discrete"].ws
    call = batched_solve(prompts) if method == "batched" else loop_over_prefixes(prompts, ws, part)
    for line in sys.stdin:
        match line.strip():
            case "warm":
                print(float(jnp.sum(jnp.abs(call()))), flush=True)
            case "time":
                print(seconds(call), flush=True)
            case "stop":
                print(0.0, flush=True)
                return


def loop_over_prefixes(prompts: Prompts, ws: jax.Array, part: str) -> Callable[[], jax.Array]:
    """(a) Zero the pairs from k on, one dense solve (and determinant) for the prefix, its discrete posterior anew."""

    @jax.jit
    def step(prompts: Prompts, k: jax.Array) -> jax.Array:
        seen = (jnp.arange(prompts.ys.shape[-1]) < k).astype(prompts.xs.dtype)
        xs, ys, x = prompts.xs * seen[None, :, None], prompts.ys * seen[None], prompts.xs[:, k]
        answers = []
        if part != "discrete":
            gram = jnp.einsum("bki,bkj->bij", xs, xs) / SIGMA**2 + jnp.eye(xs.shape[-1])[None]
            moment = jnp.einsum("bki,bk->bi", xs, ys) / SIGMA**2
            ridge = jnp.linalg.solve(gram, moment[..., None])[..., 0]
            evidence = 0.5 * jnp.einsum("bi,bi->b", moment, ridge)
            if part == "mixture":
                evidence = evidence - 0.5 * jnp.linalg.slogdet(gram)[1]
            answers.append((evidence - 0.5 * jnp.sum(ys**2, -1) / SIGMA**2, jnp.einsum("bi,bi->b", x, ridge)))
        if part != "gaussian":
            residuals = ys[..., None] - jnp.einsum("bkd,nd->bkn", xs, ws)
            log_likelihood = -0.5 * jnp.sum(residuals**2, axis=1) / SIGMA**2
            mean = jnp.einsum("bn,bn->b", jax.nn.softmax(log_likelihood, -1), x @ ws.T)
            answers.append((jax.nn.logsumexp(log_likelihood, -1) - jnp.log(len(ws)), mean))
        evidences, means = (jnp.stack(parts, -1) for parts in zip(*answers, strict=True))
        return jnp.sum(jax.nn.softmax(evidences, -1) * means, -1)

    def call() -> jax.Array:
        columns = [jax.block_until_ready(step(prompts, k)) for k in range(prompts.ys.shape[-1])]
        return jnp.stack(columns, -1)

    return call


def batched_solve(prompts: Prompts) -> Callable[[], jax.Array]:
    """(b) All prefixes' normal equations by a cumulative sum, then one batched solve."""

    @jax.jit
    def means(prompts: Prompts) -> jax.Array:
        xs, ys = prompts.xs, prompts.ys
        outer = xs[..., :, None] * xs[..., None, :]
        gram = (jnp.cumsum(outer, axis=1) - outer) / SIGMA**2 + jnp.eye(xs.shape[-1])[None, None]
        moments = xs * ys[..., None]
        moments = (jnp.cumsum(moments, axis=1) - moments) / SIGMA**2
        ridge = jnp.linalg.solve(gram, moments[..., None])[..., 0]
        return jnp.einsum("bki,bki->bk", xs, ridge)

    return lambda: jax.block_until_ready(means(prompts))


class SciPy:
    """(c) Vectorised where NumPy can be, a loop over prompts where SciPy factorises."""

    def __init__(self, prompts: Prompts, ws: jax.Array) -> None:
        self.xs, self.ys, self.ws = np.asarray(prompts.xs), np.asarray(prompts.ys), np.asarray(ws)

    def gaussian(self) -> np.ndarray:
        return self._gaussian()[0]

    def discrete(self) -> np.ndarray:
        return self._discrete()[0]

    def mixture(self) -> np.ndarray:
        (ridge, log_a), (discrete, log_b) = self._gaussian(), self._discrete()
        past = np.cumsum(log_a - log_b, axis=-1) - (log_a - log_b)
        gate = special.expit(past)
        return gate * ridge + (1 - gate) * discrete

    def _gaussian(self) -> tuple[np.ndarray, np.ndarray]:
        means, log_densities = np.empty_like(self.ys), np.empty_like(self.ys)
        for i, (xs, ys) in enumerate(zip(self.xs, self.ys, strict=True)):
            factor = linalg.cholesky(xs @ xs.T + SIGMA**2 * np.eye(len(ys), dtype=xs.dtype), lower=True)
            z, std = linalg.solve_triangular(factor, ys, lower=True), np.diag(factor)
            means[i], log_densities[i] = ys - std * z, -0.5 * z**2 - np.log(std)
        return means, log_densities

    def _discrete(self) -> tuple[np.ndarray, np.ndarray]:
        answers = self.xs @ self.ws.T
        log_likelihoods = -0.5 * (self.ys[..., None] - answers) ** 2 / SIGMA**2
        past = np.cumsum(log_likelihoods, axis=1) - log_likelihoods
        evidence = special.logsumexp(past, axis=-1)
        means = np.sum(np.exp(past - evidence[..., None]) * answers, axis=-1)
        return means, special.logsumexp(past + log_likelihoods, axis=-1) - evidence


if __name__ == "__main__":
    sys.exit(process.run("implicit_inference.bench.exact_inference", main))
