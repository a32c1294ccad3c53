"""How close exact inference is to the truth: the table of docs/exactness.md.

    python -m implicit_inference.bench.exactness                      float32 inputs, 64-bit JAX off
    python -m implicit_inference.bench.exactness --x64                float64 inputs, 64-bit JAX on
    python -m implicit_inference.bench.exactness --x64 --digits 30    the same with thirty digits

Truth is the textbook formula in extended precision (18 digits; the Gaussian part through an orthogonal factorisation,
which does not square the condition number). Errors are relative, absolute where the value is below 1; the table
gives the worst over noise 1e-2 ... 10, spread 1e-2 ... 100, label scale 1e-3 ... 1e3, alpha 1e-9 ... 1 - 1e-9, prompts
of a discrete task and of a Gaussian one. Minutes: 5, nearly all of them for the truth of the longest prompts.
"""

import argparse
import contextlib
import itertools
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from implicit_inference.bayes.precision import thirty_digits
from implicit_inference.bench.oracle import dense_mixture, dense_predictive, worst_error
from implicit_inference.config.errors import refuse
from implicit_inference.config.flags import Parser, whole
from implicit_inference.regression.predictive import component_posterior, posterior_predictive
from implicit_inference.regression.prompts import Prompts
from implicit_inference.regression.tasks import DiscreteTasks, GaussianTasks, Mixture
from implicit_inference.runs import process

SHAPES = [(12, 4, 4), (40, 20, 64), (128, 64, 16), (512, 8, 16), (512, 128, 8)]
SIGMAS, TAUS, GAMMAS, ALPHAS = (1e-2, 1.0, 10.0), (1e-2, 1.0, 1e2), (1e-3, 1.0, 1e3), (1e-9, 0.5, 1 - 1e-9)
FAMILIES = ("Gaussian", "discrete", "mixture")
QUANTITIES = (*(f"{family} {part}" for family in FAMILIES for part in ("mean", "log density")), "component posterior")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--x64", action="store_true")
    parser.add_argument("--digits", type=int, choices=(16, 30), default=16)
    parser.add_argument("--longest", type=whole("longest"), default=512, help="leave out longer prompts")
    args = parser.parse_args(arguments)
    if args.longest < SHAPES[0][0]:
        refuse("longest", args.longest, f"a whole number >= {SHAPES[0][0]}")
    jax.config.update("jax_enable_x64", args.x64)
    dtype = np.float64 if args.x64 else np.float32
    print(f"| K, d, n | {' | '.join(QUANTITIES)} |")
    print("|---" * (1 + len(QUANTITIES)) + "|")
    with thirty_digits() if args.digits == 30 else contextlib.nullcontext():
        for shape in SHAPES:
            if shape[0] <= args.longest:
                cells = (", ".join(map(str, shape)), *(f"{error:.0e}" for error in worst(shape, dtype)))
                print(f"| {' | '.join(cells)} |", flush=True)
    return 0


def worst(shape: tuple[int, int, int], dtype: type) -> np.ndarray:
    """Gives the worst error of each quantity over the grid."""
    errors = []
    for i, (sigma, tau, gamma, source) in enumerate(itertools.product(SIGMAS, TAUS, GAMMAS, (0, 1))):
        rng = np.random.default_rng(i)
        length, d, n = shape
        ws = jnp.asarray(tau * rng.normal(size=(n, d)), dtype)
        xs = rng.normal(size=(length, d))
        w = np.float64(ws[0]) if source == 0 else tau * rng.normal(size=d)
        ys = gamma * (xs @ w + sigma * rng.normal(size=length))
        prompts, noise_std = Prompts(jnp.asarray(xs, dtype), jnp.asarray(ys, dtype)), jnp.asarray(sigma, dtype)
        components = (GaussianTasks(jnp.zeros(d, dtype), jnp.asarray(tau, dtype)), DiscreteTasks(ws))
        parts = [dense_predictive(c, prompts.xs, prompts.ys, noise_std) for c in components]
        simple = [posterior(c, prompts, noise_std) for c in components]
        for alpha in ALPHAS:
            mixture = Mixture(components, jnp.array([np.log1p(-alpha), np.log(alpha)], dtype))
            whole, weights = dense_mixture(parts, mixture.log_weights)
            actual = (*simple, posterior(mixture, prompts, noise_std))
            record = [
                worst_error(value, truth)
                for a, t in zip(actual, (*parts, whole), strict=True)
                for value, truth in zip((a.mean, a.log_density), t, strict=True)
            ]
            errors.append([*record, worst_error(gates(mixture, prompts, noise_std), weights)])
    return np.max(errors, axis=0)


posterior, gates = jax.jit(posterior_predictive), jax.jit(component_posterior)

if __name__ == "__main__":
    sys.exit(process.run("implicit_inference.bench.exactness", main))
