"""The forward pass against one written out position by position in NumPy, and against laws of decoders."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from implicit_inference.lm.models.architecture import Rotary
from implicit_inference.lm.models.forward import logits


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def plain(table, w, tokens):
    """Logits of every position, from the tensors as they are on disk, in float64, one head and position at a time."""
    w = {name: value.astype(np.float64) for name, value in w.items()}
    kind, width, heads = table["model_type"], table["hidden_size"], table["num_attention_heads"]
    gemma, groups = kind == "gemma3_text", table["num_key_value_heads"]
    d, n = table.get("head_dim", width // heads), len(tokens)

    def norm(x, name):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + table["rms_norm_eps"]) * (w[f"{name}.weight"] + gemma)

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)

    x = w["model.embed_tokens.weight"][tokens] * (np.sqrt(width) if gemma else 1.0)
    for i in range(table["num_hidden_layers"]):
        at = f"model.layers.{i}"
        local = gemma and (i + 1) % table["sliding_window_pattern"] != 0
        theta = 1e4 if local else table.get("rope_theta", table.get("rope_parameters", {}).get("rope_theta", 1e6))
        inside = norm(x, f"{at}.input_layernorm")
        q, k, v = (linear(inside, f"{at}.self_attn.{name}_proj").reshape(n, -1, d) for name in "qkv")
        if kind in ("qwen3", "gemma3_text"):
            q, k = norm(q, f"{at}.self_attn.q_norm"), norm(k, f"{at}.self_attn.k_norm")

        def turned(x, t, theta=theta):
            out = np.empty(d)
            for j in range(d // 2):
                angle = t * theta ** (-2 * j / d)
                pair = complex(x[j], x[j + d // 2]) * np.exp(1j * angle)
                out[j], out[j + d // 2] = pair.real, pair.imag
            return out

        out = np.zeros((n, heads, d))
        scale = table.get("query_pre_attn_scalar", 256) ** -0.5 if gemma else d**-0.5
        for h in range(heads):
            g = h // (heads // groups)
            for t in range(n):
                first = max(0, t - table["sliding_window"] + 1) if local else 0
                scores = np.array([turned(q[t, h], t) @ turned(k[s, g], s) * scale for s in range(first, t + 1)])
                p = np.exp(scores - scores.max())
                out[t, h] = p / p.sum() @ v[first : t + 1, g]
        attended = linear(out.reshape(n, -1), f"{at}.self_attn.o_proj")
        x = x + (norm(attended, f"{at}.post_attention_layernorm") if gemma else attended)
        inside = norm(x, f"{at}.{'pre_feedforward_layernorm' if gemma else 'post_attention_layernorm'}")
        gate = (gelu if gemma else silu)(linear(inside, f"{at}.mlp.gate_proj"))
        out = linear(gate * linear(inside, f"{at}.mlp.up_proj"), f"{at}.mlp.down_proj")
        x = x + (norm(out, f"{at}.post_feedforward_layernorm") if gemma else out)
    head = "lm_head.weight" if "lm_head.weight" in w else "model.embed_tokens.weight"
    return norm(x, "model.norm") @ w[head].T


def every(model, params, tokens):
    """Logits [T, V] of one prompt."""
    row = jnp.asarray([tokens])
    places = jnp.arange(len(tokens))[None]
    return np.asarray(logits(model.architecture, params, row, places, jnp.zeros_like(row), places)[0])


TOKENS = [3, 500, 41, 41, 7, 260, 9, 100, 311, 2, 77, 15]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        *((kind, {}) for kind in tiny.CONFIGS),
        *(
            pytest.param(kind, changes, marks=pytest.mark.slow)
            for kind, changes in (
                ("llama", {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}),
                ("gemma3_text", {"tie_word_embeddings": False, "attention_bias": True, "query_pre_attn_scalar": 16}),
            )
        ),
    ],
)
def test_logits_are_those_of_a_pass_written_out(kind, changes, tmp_path):
    table = tiny.config(kind, **changes)
    model = tiny.made(tmp_path, table)
    found = every(model, model.load("float32"), TOKENS)
    np.testing.assert_allclose(found, plain(table, tiny.weights(table), np.array(TOKENS)), rtol=2e-4, atol=2e-4)


@pytest.mark.slow
def test_weights_of_half_precision_give_nearly_these_logits(tmp_path):
    table = tiny.config()
    model = tiny.made(tmp_path, table)
    exact = plain(table, tiny.weights(table), np.array(TOKENS))
    halves = model.load("bfloat16")
    assert halves["blocks"]["queries"]["kernel"].dtype == jnp.bfloat16
    assert halves["blocks"]["mlp_norm"].dtype == jnp.float32
    rough = every(model, halves, TOKENS)
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize("kind", tiny.CONFIGS)
def test_no_logit_depends_on_what_comes_later(kind, tmp_path):
    model = tiny.made(tmp_path, tiny.config(kind))
    params = model.load("float32")
    changed = [*TOKENS[:6], *((t + 5) % 500 for t in TOKENS[6:])]
    first, second = every(model, params, TOKENS), every(model, params, changed)
    np.testing.assert_array_equal(first[:6], second[:6])
    assert np.abs(first[6:] - second[6:]).min(axis=-1).max() > 0


def test_rotary_positions_of_both_spellings_and_scalings():
    """llama3 keeps short waves, divides long ones, and is continuous between; linear divides all."""
    plain = np.array(Rotary(1e4).frequencies(64))
    np.testing.assert_allclose(plain, 1e4 ** (-np.arange(32) / 32))
    np.testing.assert_allclose(Rotary(1e4, "linear", 4.0).frequencies(64), plain / 4)
    scaled = np.array(Rotary(1e4, "llama3", 8.0, 1.0, 4.0, 1024).frequencies(64))
    waves = 2 * np.pi / plain
    np.testing.assert_allclose(scaled[waves < 256], plain[waves < 256])
    np.testing.assert_allclose(scaled[waves > 1024], plain[waves > 1024] / 8)
    between = (waves > 256) & (waves < 1024)
    smooth = (1024 / waves[between] - 1) / 3
    np.testing.assert_allclose(scaled[between], (1 - smooth) * plain[between] / 8 + smooth * plain[between])
    assert between.any()


def test_a_program_is_compiled_once_for_an_architecture(tmp_path):
    model = tiny.made(tmp_path)
    params = model.load("float32")
    before = logits._cache_size()
    every(model, params, TOKENS)
    every(model, jax.tree.map(lambda leaf: 2 * leaf, params), TOKENS)
    assert logits._cache_size() - before <= 1


def test_float32_products_keep_all_their_digits(tmp_path):
    """The CPU has no others, so that the program is read."""
    model = tiny.made(tmp_path / "model")
    params, row = model.load("float32"), jnp.arange(4)[None]
    program = jax.make_jaxpr(lambda *inputs: logits(model.architecture, *inputs))(params, row, row, row * 0, row)
    products = str(program).count("dot_general")
    assert products == str(program).count("precision=(Precision.HIGHEST, Precision.HIGHEST)") > 5
