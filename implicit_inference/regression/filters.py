"""The two recursions over positions that all exact inference rests on, in plain array operations.

Both give the mean and the log density of each label one step ahead. They expect float64: see precision.py.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from einops import pack, rearrange, unpack
from jax import Array
from jaxtyping import Float

from implicit_inference.bayes.pairs import Pair
from implicit_inference.bayes.precision import with_thirty_digits

LOG_2PI = math.log(2 * math.pi)

CACHED = 2**15
"""Numbers of state that stay in a core's cache. CPUs take prompts in blocks of that size: 1.5 to 2 times as fast as all
at once at K=40, d=20, n=64. Other devices want all at once."""

UNROLLED = 4
"""Positions of a recursion compiled as one piece: a tenth faster than one by one."""

UNBELIEVABLE = 1e100
"""Labels are cut there: the square of an infinite one would leave nothing to compare tasks by."""

Means = Float[Array, "*batch K"]
LogDensities = Float[Array, "*batch K"]
Odds = tuple[Array, Array, Array]


def gaussian_filter(
    mean: Float[Array, " d"],
    root: Float[Array, "d d"],
    xs: Float[Array, "*batch K d"],
    ys: Float[Array, "*batch K"],
    noise_std: Float[Array, ""] | float,
) -> tuple[Means, LogDensities]:
    """Ridge regression as a Kalman filter for w ~ N(mean, root root^T): O(K d^2) for all prefixes together.

    The posterior covariance is carried as a square root A A^T (Potter's update; Bierman 1977, chapter II.8): rounding
    grows with prior std / noise std, where formulas with the covariance or the Gram matrix pay for its square.

    With thirty digits every number is a pair of float64: large labels with a narrow noise cancel in y - <x, w>, and
    leave 20 digits of the 30. That takes 25 to 80 times as long. Derivatives are those of the fast filter.
    """
    inputs = (jnp.asarray(x, jnp.float64) for x in (mean, root, xs, ys, noise_std))
    return (_precise_gaussian_filter if with_thirty_digits() else _fast_gaussian_filter)(*inputs)


def _fast_gaussian_filter(
    mean: Array, root: Array, xs: Array, ys: Array, noise_std: Array
) -> tuple[Means, LogDensities]:
    """The posterior mean is one more column of A: the rows' products and the update are the same for both."""
    noise_var, dim = noise_std**2, xs.shape[-1]

    def step(state: Array, pair: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        x, y = pair
        products = jnp.einsum("bij,bi->bj", state, x)
        projected, prediction = products[:, :-1], products[:, -1]
        variance = jnp.einsum("bi,bi->b", projected, projected) + noise_var
        covariance = jnp.einsum("bij,bj->bi", state, _extended(projected, jnp.zeros_like(y)))
        shrink = 1 / (variance + jnp.sqrt(noise_var * variance))
        change = _extended(projected * shrink[:, None], (prediction - y) / variance)
        return state - covariance[:, :, None] * change[:, None], (prediction, variance)

    def block(xs: Array, ys: Array) -> tuple[Array, Array]:
        zeros = 0 * (xs[0, :, :1, None] + ys[0, :, None, None] + noise_std)
        prior = jnp.concatenate([root, mean[:, None]], axis=1)[None]
        _, (predictions, variances) = jax.lax.scan(step, prior + zeros, (xs, ys), unroll=UNROLLED)
        return predictions, _log_normal(ys - predictions, variances)

    return _in_blocks(block, xs, ys, dim * (dim + 1))


@jax.custom_jvp
def _precise_gaussian_filter(
    mean: Array, root: Array, xs: Array, ys: Array, noise_std: Array
) -> tuple[Means, LogDensities]:
    """Ridge regression with 30 digits; prompts lie along the last axis, [d, d, b], sums go row by row of A."""
    noise_var, dim = Pair.of(noise_std) * Pair.of(noise_std), xs.shape[-1]

    def step(state: tuple[Pair, Pair], pair: tuple[Array, Array]) -> tuple[tuple[Pair, Pair], tuple[Array, ...]]:
        root, mean = state
        x, y = (Pair.of(number) for number in pair)
        projected, prediction = root.dot(x[:, None]), mean.dot(x)
        variance = projected.dot(projected) + noise_var
        covariance = jax.tree.map(lambda part: part.swapaxes(0, 1), root).dot(projected[:, None])
        shrunk = projected / (variance + (noise_var * variance).sqrt())[None]
        innovation = y - prediction
        mean = mean + covariance * (innovation / variance)[None]
        root = root - covariance[:, None] * shrunk[None]
        return (root, mean), (prediction.high, innovation.high, variance.high)

    def block(xs: Array, ys: Array) -> tuple[Array, Array]:
        zeros = 0 * (xs[0].T + ys[0][None] + noise_std)
        prior = Pair.of(root[:, :, None] + zeros[:, None]), Pair.of(mean[:, None] + zeros)
        _, (predictions, innovations, variances) = jax.lax.scan(step, prior, (xs.mT, ys))
        return predictions, _log_normal(innovations, variances)

    return _in_blocks(block, xs, ys, 2 * dim)


@_precise_gaussian_filter.defjvp
def _(primals: tuple, tangents: tuple) -> tuple:
    return _precise_gaussian_filter(*primals), jax.jvp(_fast_gaussian_filter, primals, tangents)[1]


def task_filter(
    ws: Float[Array, "n d"],
    log_prior: Float[Array, " n"],
    xs: Float[Array, "*batch K d"],
    ys: Float[Array, "*batch K"],
    noise_std: Float[Array, ""] | float,
) -> tuple[Means, LogDensities]:
    """The average of the tasks' own answers, weighted by their posterior: O(K n d) time, O(n) memory for a prompt.

    The log posterior is carried with its largest entry moved to 0 after every label, so that the odds of the leading
    tasks keep their digits however unlikely the prompt is. `log_prior` need not be normalised, but must be finite.
    """
    noise_var = noise_std**2

    def step(carry: Odds, pair: tuple[Array, Array]) -> tuple[Odds, tuple[Array, Array]]:
        log_odds, odds, total = carry
        x, y = pair
        answers = x @ ws.T
        prediction = jnp.sum(odds * answers, axis=-1) / total
        log_odds = log_odds - (y[:, None] - answers) ** 2 * (0.5 / noise_var)
        leader = jnp.max(jax.lax.stop_gradient(log_odds), axis=-1)
        log_odds = log_odds - leader[:, None]
        odds = jnp.exp(log_odds)
        new_total = jnp.sum(odds, axis=-1)
        return (log_odds, odds, new_total), (prediction, leader + jnp.log(new_total / total))

    def block(xs: Array, ys: Array) -> tuple[Array, Array]:
        zeros = 0 * (xs[0, :, :1] + ys[0, :, None] + noise_std + ws[0, 0])
        log_odds = (log_prior - jnp.max(jax.lax.stop_gradient(log_prior)))[None] + zeros
        odds = jnp.exp(log_odds)
        start = log_odds, odds, jnp.sum(odds, axis=-1)
        _, (predictions, log_likelihoods) = jax.lax.scan(step, start, (xs, ys), unroll=UNROLLED)
        return predictions, log_likelihoods - 0.5 * (jnp.log(noise_var) + LOG_2PI)

    return _in_blocks(block, xs, ys, 2 * log_prior.size)


def _extended(rows: Float[Array, "b d"], last: Float[Array, " b"]) -> Float[Array, "b d_plus_1"]:
    return jnp.concatenate([rows, last[:, None]], axis=1)


def _log_normal(innovations: Float[Array, "K b"], variances: Float[Array, "K b"]) -> Float[Array, "K b"]:
    return -0.5 * (innovations**2 / variances + jnp.log(variances) + LOG_2PI)


def _in_blocks(
    block: Callable[[Array, Array], tuple[Array, Array]], xs: Array, ys: Array, state_size: int
) -> tuple[Means, LogDensities]:
    """`block(xs [K, b, d], ys [K, b])` over all leading axes; each prompt carries `state_size` numbers.

    Prompt i is in block i modulo their number, so that every device has its part of each block of sharded prompts.
    (Blocks add zeros to their initial state so that it varies over the devices of a sharded map as the inputs do.)
    """
    if not ys.size:
        return jnp.zeros(ys.shape, ys.dtype), jnp.zeros(ys.shape, ys.dtype)
    flat_xs, _ = pack([xs], "* k d")
    flat_ys, leading = pack([jnp.clip(ys, -UNBELIEVABLE, UNBELIEVABLE)], "* k")
    count = len(flat_ys)
    size = 2 ** int(math.log2(max(1, CACHED // state_size)))
    if jax.default_backend() != "cpu" or size >= count:
        size = count
    flat_xs = jnp.pad(flat_xs, ((0, -count % size), (0, 0), (0, 0)))
    flat_ys = jnp.pad(flat_ys, ((0, -count % size), (0, 0)))
    blocks = (
        rearrange(flat_xs, "(prompt block) k d -> block k prompt d", prompt=size),
        rearrange(flat_ys, "(prompt block) k -> block k prompt", prompt=size),
    )
    means, log_densities = (
        unpack(rearrange(result, "block k prompt -> (prompt block) k")[:count], leading, "* k")[0]
        for result in jax.lax.map(lambda prompts: block(*prompts), blocks)
    )
    return means, log_densities
