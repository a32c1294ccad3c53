"""A 64-bit section inside 32-bit programs, under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from implicit_inference import thirty_digits
from implicit_inference.bayes.precision import in_float64, with_thirty_digits


@in_float64
def tail(x, y):
    """(x + y) - x, which float32 rounds away."""
    assert x.dtype == y.dtype == jnp.float64
    return {"tail": jnp.einsum("i,i->i", x + y, jnp.ones(2)) - x, "largest": jnp.max(x * y)}


BIG, SMALL = jnp.array([1e8, 2e8]), jnp.array([0.125, 0.25])


def test_runs_in_double_and_returns_single():
    for result in (tail(BIG, SMALL), jax.jit(tail)(BIG, SMALL)):
        assert result["tail"].dtype == jnp.float32
        np.testing.assert_array_equal(result["tail"], SMALL)
    with jax.enable_x64(True):
        assert tail(jnp.asarray(BIG, jnp.float64), jnp.asarray(SMALL, jnp.float64))["tail"].dtype == jnp.float64


def test_too_large_becomes_the_largest():
    assert tail(jnp.array([1e38, 1.0]), jnp.array([1e38, 1.0]))["largest"] == jnp.finfo(jnp.float32).max


def test_derivatives_of_any_order_through_jit_vmap_scan_and_remat():
    cube = in_float64(lambda x, y: jnp.einsum("i,i->", x**3, y) + jnp.max(x) * y[0])
    x, y = jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])
    expected = 3 * x**2 * y + jnp.array([0.0, 3.0])
    for f in (cube, jax.jit(cube), jax.checkpoint(cube)):
        np.testing.assert_allclose(jax.grad(f)(x, y), expected)
        np.testing.assert_allclose(jax.jit(jax.grad(f))(x, y), expected)
        np.testing.assert_allclose(jax.vmap(jax.grad(f), (0, None))(jnp.stack([x, x]), y)[1], expected)
    np.testing.assert_allclose(jax.jit(jax.jacrev(jax.jacrev(jax.jit(cube))))(x, y), jnp.diag(6 * x * y))
    scanned = lambda x: jax.lax.scan(lambda c, _: (c + jax.jit(cube)(x, y), None), 0.0, None, 3)[0]  # noqa: E731
    np.testing.assert_allclose(jax.jit(jax.grad(scanned))(x), 3 * expected)


def test_batched_inside_and_outside_of_jit():
    for f in (lambda y: tail(BIG, y)["tail"], jax.jit(lambda y: tail(BIG, y)["tail"])):
        batch = jnp.stack([SMALL, 2 * SMALL, 3 * SMALL])
        np.testing.assert_array_equal(jax.vmap(f)(batch), batch)
        np.testing.assert_array_equal(jax.jit(jax.vmap(jax.vmap(f)))(batch[None])[0], batch)


@pytest.mark.parametrize("check_vma", [True, False])
def test_inside_a_sharded_map(check_vma):
    mesh = jax.make_mesh((2,), ("device",), axis_types=(AxisType.Auto,))
    batch, spec = jnp.stack([SMALL, 2 * SMALL, 3 * SMALL, 4 * SMALL]), PartitionSpec("device")
    along_axis = lambda ys: jax.lax.map(lambda y: tail(BIG, y)["tail"], ys)  # noqa: E731
    mapped = jax.jit(jax.shard_map(along_axis, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=check_vma))
    np.testing.assert_array_equal(mapped(batch), batch)


@in_float64
def digits_of(x):
    return x * (30.0 if with_thirty_digits() else 16.0)


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit, jax.vmap, lambda f: jax.jit(jax.grad(lambda x: f(x)[0]))])
def test_compiled_functions_keep_no_digits_of_an_earlier_call(transform, x64):
    """One function, one shape, before, within and after: a trace of one must not serve another."""
    with jax.enable_x64(x64):
        f, x = transform(digits_of), jnp.ones(1)
        for _ in range(2):
            assert f(x) == 16
            with thirty_digits():
                assert f(x) == 30
