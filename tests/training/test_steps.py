from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from implicit_inference import GaussianTasks
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.regression.score import squared
from implicit_inference.runs import devices
from implicit_inference.training import steps
from implicit_inference.training.batches import draw_batch, log_weights, prior

CONFIG = override(PRESETS["smoke"], {"seeds": [0]})
GAUSSIAN = GaussianTasks(jnp.zeros(2))


def linear(params, prompts):
    """A predictor with three parameters, causal enough for a gradient."""
    past = jnp.cumsum(prompts.ys, axis=-1) - prompts.ys
    return params["a"] * past + params["b"] * prompts.xs[..., 0] + params["c"] * past * prompts.xs[..., 1]


PARAMS = {"a": jnp.array(0.1), "b": jnp.array(0.3), "c": jnp.array(-0.2)}


def draw(target):
    training = override(CONFIG, {"pretrain.target": target}).pretrain
    tasks = prior(CONFIG, 0, log_weights(training.discrete_prob))
    return lambda key: draw_batch(CONFIG, training, tasks, key)


def test_the_three_targets_have_one_expected_gradient_and_falling_variance():
    def gradients(target):
        def one(key):
            prompts, targets = draw(target)(key)
            return jax.grad(lambda p: jnp.mean((linear(p, prompts) - targets) ** 2))(PARAMS)

        packed = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 1500))
        return np.stack(jax.tree.leaves(packed), axis=-1).astype(np.float64)

    label, noise_free, posterior_mean = map(gradients, ("label", "truth", "bayes"))
    for other in (noise_free, posterior_mean):
        difference = label - other
        z = difference.mean(0) / (difference.std(0) / np.sqrt(len(difference)))
        assert np.all(np.abs(z) < 4), z
        assert np.all(difference.std(0) > 0)
    assert np.all(posterior_mean.var(0) < noise_free.var(0))
    assert np.all(noise_free.var(0) < label.var(0))


def test_batches_depend_on_the_step_and_not_on_the_chunks():
    optimizer, key = optax.sgd(0.01), jax.random.key(5)
    drawn = partial(draw_batch, CONFIG, override(CONFIG, {"pretrain.target": "label"}).pretrain, GAUSSIAN)

    def run(chunks):
        state, losses = steps.start(PARAMS, optimizer), []
        for n in chunks:
            compiled = jax.jit(lambda state, n=n: steps.train_chunk(state, key, n, drawn, linear, squared, optimizer))
            state, chunk = compiled(state)
            losses += list(np.asarray(chunk))
        return state, losses

    (whole, losses), (parts, part_losses) = run([6]), run([1, 3, 2])
    assert int(whole.step) == int(parts.step) == 6
    np.testing.assert_allclose(losses, part_losses, rtol=1e-6)
    chex.assert_trees_all_close(whole.params, parts.params, rtol=1e-6)


def test_targets_of_another_shape_are_refused():
    def column(key):
        prompts, targets = draw("label")(key)
        return prompts, targets[..., None]

    with pytest.raises(ValueError, match=r"[Ss]hape"):
        steps.train_chunk(
            steps.start(PARAMS, optax.sgd(0.01)), jax.random.key(0), 1, column, linear, squared, optax.sgd(0.01)
        )


def test_slices_and_devices_change_only_rounding():
    """Compares the losses of ten gradient steps, and the sum of their gradients."""
    config, optimizer = override(CONFIG, {"pretrain": {"batch": 16, "target": "label"}}), optax.sgd(1e-3)

    def ten_steps(slices, part, mean, run):
        def one_seed(params):
            draw = partial(draw_batch, config, config.pretrain, GAUSSIAN, part=part)
            state = steps.start(params, optimizer)
            last, losses = steps.train_chunk(
                state, jax.random.key(1), 10, draw, linear, squared, optimizer, slices, mean
            )
            return losses, last.params

        losses, last = run(one_seed)(jax.tree.map(lambda leaf: leaf[None], PARAMS))
        for leaf in jax.tree.leaves(last):  # devices that share a batch must not drift apart
            copies = [np.asarray(shard.data) for shard in leaf.addressable_shards]
            assert all(np.array_equal(copy, copies[0]) for copy in copies)
        return losses, np.array([last[name][0] - PARAMS[name] for name in PARAMS])

    def alone(function):
        return jax.jit(jax.vmap(function))

    def spread(function):
        mesh = devices.make_mesh(1, 16)
        assert mesh.devices.shape == (1, 2)
        return devices.over_seeds(function, mesh)

    def same(part):
        return part

    whole, way = ten_steps(1, same, same, alone)
    assert np.all(np.abs(way) > 1e-3)
    for found, found_way in (
        ten_steps(4, same, same, alone),
        ten_steps(1, devices.device_part, devices.batch_mean, spread),
        ten_steps(2, devices.device_part, devices.batch_mean, spread),
    ):
        np.testing.assert_allclose(found, whole, rtol=1e-5)
        np.testing.assert_allclose(found_way, way, rtol=1e-4)
