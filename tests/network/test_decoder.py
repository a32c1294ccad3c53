import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference.config.fields import ModelConfig
from implicit_inference.network import decoder
from implicit_inference.regression.prompts import Prompts, read_predictions, to_tokens, token_shape

CONFIG = ModelConfig(width=16, layers=2, heads=2)
LENGTH, DIM = 4, 2


@cache
def network(layout, config=CONFIG):
    count, width = token_shape(layout, DIM, LENGTH)
    params = jax.jit(lambda key: decoder.init(config, width, count, 1, key))(jax.random.key(0))

    @jax.jit
    def predict(params, prompts):
        return read_predictions(layout, decoder.apply(config, params, to_tokens(layout, prompts))[..., 0])

    return params, predict


def prompts_of(n):
    key = jax.random.key(1)
    return Prompts(jax.random.normal(key, (n, LENGTH, DIM)), jax.random.normal(key, (n, LENGTH)))


@pytest.mark.parametrize("layout", ["compact", "interleaved"])
def test_prediction_k_sees_pairs_before_k_and_x_k_only(layout):
    params, predict = network(layout)
    prompts = prompts_of(1)
    derivatives = jax.jit(jax.jacobian(predict, argnums=1))(params, prompts)
    by_label, by_input = np.asarray(derivatives.ys)[0, :, 0], np.abs(derivatives.xs)[0, :, 0].sum(-1)
    for k in range(LENGTH):
        assert np.all(by_label[k, k:] == 0)
        assert np.all(by_label[k, :k] != 0)
        assert np.all(by_input[k, k + 1 :] == 0)
        assert np.all(by_input[k, : k + 1] != 0)


@pytest.mark.parametrize("layout", ["compact", "interleaved"])
def test_a_prefix_gets_the_same_predictions(layout):
    params, predict = network(layout)
    prompts = prompts_of(4)
    prefix = Prompts(prompts.xs[:, :3], prompts.ys[:, :3])
    np.testing.assert_allclose(predict(params, prefix), predict(params, prompts)[:, :3], rtol=1e-5, atol=1e-6)


def test_it_equals_a_decoder_written_out_in_numpy():
    params, predict = network("compact")
    prompts = prompts_of(3)
    tokens = np.asarray(to_tokens("compact", prompts), np.float64)
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

    def dense(x, weights):
        return x @ weights["kernel"] + weights["bias"]

    def norm(x, weights):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt(centred.var(-1, keepdims=True) + 1e-6) * weights["scale"] + weights["bias"]

    stream = dense(tokens, p["embed"]) + p["positions"]
    for layer in range(CONFIG.layers):
        block = jax.tree.map(lambda leaf, layer=layer: leaf[layer], p["blocks"])
        q, k, v = np.split(dense(norm(stream, block["norm_attention"]), block["queries_keys_values"]), 3, axis=-1)
        heads = []
        for part in np.split(np.arange(CONFIG.width), CONFIG.heads):
            scores = q[..., part] @ np.swapaxes(k[..., part], -1, -2) / np.sqrt(len(part))
            weights = np.exp(scores) * np.tril(np.ones((LENGTH, LENGTH)))
            heads.append(weights / weights.sum(-1, keepdims=True) @ v[..., part])
        stream = stream + dense(np.concatenate(heads, -1), block["attention_out"])
        hidden = np.maximum(dense(norm(stream, block["norm_mlp"]), block["up"]), 0)
        stream = stream + dense(hidden, block["down"])
    expected = dense(norm(stream, p["norm"]), p["readout"])[..., 0]
    np.testing.assert_allclose(predict(params, prompts), expected, rtol=2e-5, atol=2e-5)


def test_leading_shapes_are_free():
    params, predict = network("compact")
    prompts = prompts_of(6)
    shaped = jax.tree.map(lambda leaf: leaf.reshape(2, 3, *leaf.shape[1:]), prompts)
    np.testing.assert_allclose(predict(params, shaped).reshape(6, LENGTH), predict(params, prompts), rtol=1e-6)


def test_bfloat16_computes_near_float32_with_float32_parameters():
    half = dataclasses.replace(CONFIG, compute_dtype="bfloat16")
    params, predict = network("interleaved")
    _, rough = network("interleaved", half)
    prompts = prompts_of(8)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    exact, low = predict(params, prompts), rough(params, prompts)
    assert low.dtype == jnp.float32
    error = float(jnp.sqrt(jnp.mean((exact - low) ** 2) / jnp.mean(exact**2)))
    assert 0 < error < 0.05


def test_the_paper_size_counts_as_stated():
    config = ModelConfig(width=256, layers=12, heads=8)
    count, width = token_shape("interleaved", 20, 41)
    shapes = jax.eval_shape(lambda: decoder.init(config, width, count, 1, jax.random.key(0)))
    size = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    assert round(size / 1e6, 1) == 9.5
