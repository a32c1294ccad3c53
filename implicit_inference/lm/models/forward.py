"""The forward pass of a decoder with rotary positions and gated units: Llama, Qwen, Gemma.

Parameters are a nested dict: `embedding` [V, D], `blocks` (one array a name, layers first), `norm` [D] and, unless
embeddings are tied, `head` [D, V]. Matrices are [in, out].
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jax import Array

from implicit_inference.lm.models.architecture import Architecture

Params = Any


def forward(arch: Architecture, params: Params, tokens: Array, positions: Array, branches: Array, at: Array) -> Array:
    """Logits [B, N, V] in float32 of the token that follows each place of `at` [B, N].

    `tokens`, `positions` and `branches` are [B, T]. A token sees itself and, before it, branch 0 and its own branch:
    several continuations of one prompt share a pass. Padding comes last, as a branch of its own.
    """
    x = params["embedding"][tokens]
    if arch.gemma:
        x = x * jnp.asarray(arch.width**0.5, x.dtype)
    places = jnp.arange(tokens.shape[1])
    behind = places[:, None] - places[None, :]
    sees = (branches[:, None, :] == 0) | (branches[:, None, :] == branches[:, :, None])
    sees = (behind >= 0)[None] & sees
    turns = jnp.asarray(np.array([rotary.frequencies(arch.head) for rotary in arch.rotaries], np.float32))
    windows = jnp.asarray([window or tokens.shape[1] for window in arch.windows])

    def block(x: Array, layer: tuple[Params, Array, Array]) -> tuple[Array, None]:
        p, frequencies, window = layer
        steps = positions[:, :, None] - positions[:, None, :]
        return _block(arch, p, x, positions, frequencies, sees & (steps < window)), None

    with jax.default_matmul_precision("highest"):  # JAX's default on accelerators rounds float32 matrices
        x, _ = jax.lax.scan(block, x, (params["blocks"], turns, windows))
        x = jnp.take_along_axis(x, at[:, :, None], axis=1)
        x = _normalised(x, params["norm"], arch.epsilon)
        head = params["embedding"].T if arch.tied else params["head"]
        return jnp.matmul(x, head, preferred_element_type=jnp.float32)


logits = jax.jit(forward, static_argnums=0)
"""`forward`, compiled for each architecture and shape."""


def _block(arch: Architecture, p: Params, x: Array, positions: Array, frequencies: Array, sees: Array) -> Array:
    norm = partial(_normalised, epsilon=arch.epsilon)
    attended = _attention(arch, p, norm(x, p["attention_norm"]), positions, frequencies, sees)
    x = x + (norm(attended, p["attention_out_norm"]) if arch.gemma else attended)
    inside = norm(x, p["mlp_norm"])
    activation = jax.nn.silu if arch.activation == "silu" else partial(jax.nn.gelu, approximate=True)
    out = _linear(p["down"], activation(_linear(p["gate"], inside)) * _linear(p["up"], inside))
    return x + (norm(out, p["mlp_out_norm"]) if arch.gemma else out)


def _attention(arch: Architecture, p: Params, x: Array, positions: Array, frequencies: Array, sees: Array) -> Array:
    q = rearrange(_linear(p["queries"], x), "b t (g m d) -> b g m t d", g=arch.groups, d=arch.head)
    k = rearrange(_linear(p["keys"], x), "b t (g d) -> b g 1 t d", g=arch.groups)
    v = rearrange(_linear(p["values"], x), "b t (g d) -> b g t d", g=arch.groups)
    if arch.head_norms:
        q, k = (_normalised(each, p[name], arch.epsilon) for each, name in ((q, "query_norm"), (k, "key_norm")))
    angles = positions[:, None, None, :, None].astype(jnp.float32) * frequencies[None, None, None, None, :]
    q, k = _turned(q, angles), _turned(k, angles)[:, :, 0]
    scores = jnp.einsum("bgmtd,bgsd->bgmts", q, k, preferred_element_type=jnp.float32) * arch.query_scale
    weights = jax.nn.softmax(jnp.where(sees[:, None, None], scores, jnp.finfo(jnp.float32).min), axis=-1)
    out = jnp.einsum("bgmts,bgsd->bgmtd", weights.astype(v.dtype), v)
    return _linear(p["attention_out"], rearrange(out, "b g m t d -> b t (g m d)"))


def _linear(p: Params, x: Array) -> Array:
    """x W + x A B + b: a low-rank update is kept beside its matrix, which is neither copied nor rounded again."""
    out = x @ p["kernel"]
    if "a" in p:
        out = out + (x @ p["a"]) @ p["b"]
    return out + jnp.broadcast_to(p["bias"], out.shape) if "bias" in p else out


def _normalised(x: Array, weight: Array, epsilon: float) -> Array:
    """Divides by the root mean square, in float32; weights are kept in float32, too."""
    wide = x.astype(jnp.float32)
    scaled = wide * jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + epsilon)
    return (scaled * jnp.broadcast_to(weight, scaled.shape)).astype(x.dtype)


def _turned(x: Array, angles: Array) -> Array:
    """Rotary positions: dimension i is turned with dimension i + d/2."""
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    cos, sin = (jnp.broadcast_to(f(angles), first.shape) for f in (jnp.cos, jnp.sin))
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)
