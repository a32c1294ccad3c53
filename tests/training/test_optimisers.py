import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from implicit_inference.config.fields import TrainingConfig
from implicit_inference.network.adapt import LowRank, Whole
from implicit_inference.training.optimisers import block_matrices, make_optimizer, schedule


def test_the_schedule_warms_up_and_decays_to_the_stated_fraction():
    rate = schedule(TrainingConfig(steps=100, learning_rate=0.5, warmup=10, final_fraction=0.1))
    assert rate(0) == 0
    assert rate(5) == pytest.approx(0.25)
    assert rate(10) == pytest.approx(0.5)
    assert rate(55) == pytest.approx(0.05 + 0.45 / 2)
    assert rate(100) == pytest.approx(0.05)


def test_a_fraction_of_one_is_constant():
    rate = schedule(TrainingConfig(steps=100, learning_rate=0.5, warmup=0, final_fraction=1.0))
    assert {round(float(rate(step)), 6) for step in range(100)} == {0.5}


def test_it_is_the_schedule_of_optax_at_every_step():
    config = TrainingConfig(steps=50, learning_rate=0.3, warmup=7, final_fraction=0.02)
    expected = optax.warmup_cosine_decay_schedule(0.0, 0.3, 7, 50, 0.02 * 0.3)
    steps = jnp.arange(60)
    with jax.numpy_dtype_promotion("standard"):
        theirs = jax.vmap(expected)(steps)
    np.testing.assert_allclose(jax.vmap(schedule(config))(steps), theirs, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_every_optimizer_reaches_the_minimum_of_a_quadratic(name):
    target = jax.random.normal(jax.random.key(0), (2, 3, 3))
    optimizer = make_optimizer(TrainingConfig(steps=400, optimizer=name, learning_rate=0.05, warmup=5))
    params = {"blocks": jnp.zeros((2, 3, 3)), "bias": jnp.zeros(3)}

    def loss(params):
        return jnp.sum((params["blocks"] - target) ** 2) + jnp.sum((params["bias"] - 1) ** 2)

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return (jax.tree.map(jnp.add, params, updates), state), None

    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), None, length=400)
    assert float(loss(params)) < 0.01 * float(jnp.sum(target**2) + 3)


def test_gradients_are_clipped_by_global_norm():
    optimizer = make_optimizer(TrainingConfig(steps=10, optimizer="adam", learning_rate=1.0, warmup=0, clip=0.5))
    params = {"a": jnp.zeros(3)}
    small, large = ({"a": jnp.array([0.3, 0.4, 0.0]) * scale} for scale in (1, 1e6))
    updates = [optimizer.update(g, optimizer.init(params), params)[0]["a"] for g in (small, large)]
    np.testing.assert_allclose(*updates, rtol=1e-5)


def test_muon_takes_the_stacked_matrices_only():
    params = {"embed": jnp.zeros((3, 4)), "blocks": {"up": jnp.zeros((2, 4, 8)), "bias": jnp.zeros((2, 8))}}
    spec = block_matrices(params)
    assert spec["blocks"]["up"] is not None
    assert spec["embed"] is None
    assert spec["blocks"]["bias"] is None
    added = {
        "blocks/up/kernel": LowRank(jnp.zeros((2, 4, 1)), jnp.zeros((2, 1, 8))),
        "prompt": Whole(jnp.zeros((3, 2, 4))),
    }
    assert jax.tree.leaves(block_matrices(added)) == []
    assert len(jax.tree.leaves(block_matrices({"blocks/up/kernel": Whole(jnp.zeros((2, 4, 8)))}))) == 2
