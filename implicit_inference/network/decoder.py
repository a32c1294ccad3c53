"""The network: a GPT-2-style decoder that reads a sequence of tokens and gives `outputs` numbers at every token.

Modules are written with flax NNX; outside this file parameters are a plain nested dict of arrays. Float32 products keep
all their digits on accelerators, too, where JAX's default has fewer.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from einops import pack, rearrange, unpack
from flax import nnx
from jax import Array
from jaxtyping import Float

from implicit_inference.config.fields import ModelConfig

Params = dict[str, Any]


class Block(nnx.Module):
    """Pre-norm causal attention and a two-layer perceptron, each added to the residual stream.

    The stream is flat, [batch * T, width], except inside attention: every dense layer is one matrix product.
    """

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        dense = partial(nnx.Linear, dtype=config.compute_dtype, rngs=rngs)
        inward = partial(dense, kernel_init=nnx.initializers.normal(config.width**-0.5))
        outward = partial(dense, kernel_init=nnx.initializers.normal((2 * config.layers * config.width) ** -0.5))
        self.heads = config.heads
        self.norm_attention = nnx.LayerNorm(config.width, rngs=rngs)
        self.queries_keys_values = inward(config.width, 3 * config.width)
        self.attention_out = outward(config.width, config.width)
        self.norm_mlp = nnx.LayerNorm(config.width, rngs=rngs)
        self.up = inward(config.width, 4 * config.width)
        self.down = outward(4 * config.width, config.width)

    def __call__(self, stream: Array, length: int) -> Array:
        stream = stream + self.attention_out(self.attend(self.norm_attention(stream), length)).astype(stream.dtype)
        return stream + self.down(jax.nn.relu(self.up(self.norm_mlp(stream)))).astype(stream.dtype)

    def attend(self, stream: Array, length: int) -> Array:
        queries, keys, values = (
            rearrange(part, "(batch token) (head feature) -> batch token head feature", token=length, head=self.heads)
            for part in jnp.split(self.queries_keys_values(stream), 3, axis=-1)
        )
        scores = jnp.einsum("bqhf,bkhf->bhqk", queries, keys) / jnp.sqrt(queries.shape[-1])
        causal = jnp.tril(jnp.ones((length, length), bool))
        weights = jax.nn.softmax(jnp.where(causal, scores.astype(jnp.float32), -jnp.inf)).astype(scores.dtype)
        mixed = jnp.einsum("bhqk,bkhf->bqhf", weights, values)
        return rearrange(mixed, "batch token head feature -> (batch token) (head feature)")


class Decoder(nnx.Module):
    """Token embedding + learned positions, the blocks, a final norm, a read-out. Blocks are stacked by layer."""

    def __init__(self, config: ModelConfig, token_width: int, length: int, outputs: int, *, rngs: nnx.Rngs):
        @nnx.split_rngs(splits=config.layers)
        @nnx.vmap(in_axes=0, out_axes=0)
        def stacked(rngs: nnx.Rngs) -> Block:
            return Block(config, rngs=rngs)

        init = nnx.initializers.normal(0.02)
        self.embed = nnx.Linear(token_width, config.width, dtype=config.compute_dtype, rngs=rngs)
        self.positions = nnx.Param(init(rngs.params(), (length, config.width), jnp.float32))
        self.blocks = stacked(rngs)
        self.norm = nnx.LayerNorm(config.width, rngs=rngs)
        self.readout = nnx.Linear(config.width, outputs, rngs=rngs)

    def __call__(self, tokens: Array, prompt: Array) -> Array:
        stream, _ = self.streams(tokens, prompt)
        outputs = rearrange(
            self.readout(self.norm(stream)), "(batch token) out -> batch token out", batch=tokens.shape[0]
        )
        return outputs[:, len(prompt) :]

    def streams(self, tokens: Array, prompt: Array, watched: bool = False) -> tuple[Array, Array | None]:
        """The residual stream [batch * T, width] after the last block, and after every block if it is `watched`."""
        batch, length, _ = tokens.shape
        embedded = self.embed(rearrange(tokens, "batch token number -> (batch token) number"))
        embedded = rearrange(embedded, "(batch token) width -> batch token width", batch=batch)
        placed = embedded.astype(jnp.float32) + self.positions[None, :length]
        before = jnp.broadcast_to(prompt, (batch, *prompt.shape)).astype(placed.dtype)
        length += len(prompt)
        stream = rearrange(jnp.concatenate([before, placed], axis=1), "batch token width -> (batch token) width")
        graph, stacked = nnx.split(self.blocks)

        def layer(stream: Array, state: Any) -> tuple[Array, Array | None]:
            stream = nnx.merge(graph, state)(stream, length)
            return stream, stream if watched else None

        return jax.lax.scan(layer, stream, stacked, unroll=4)


def init(config: ModelConfig, token_width: int, length: int, outputs: int, key: Array) -> Params:
    """Fresh float32 parameters for at most `length` tokens of `token_width` numbers, and `outputs` at each."""
    decoder = Decoder(config, token_width, length, outputs, rngs=nnx.Rngs(params=key))
    return nnx.to_pure_dict(nnx.state(decoder, nnx.Param))


def apply(config: ModelConfig, params: Params, tokens: Float[Array, "*batch T token"]) -> Float[Array, "*batch T out"]:
    """The outputs at each token, which depend on tokens up to it and on the vectors `prompt` [P, width] if any.

    These stand before the embedded tokens, without positions of their own.
    """
    decoder, prompt = _decoder(config, params, tokens)
    flat, leading = pack([tokens], "* token number")
    with jax.default_matmul_precision("highest"):
        (found,) = unpack(decoder(flat, prompt), leading, "* token out")
    return found.astype(jnp.float32)


def streams(config: ModelConfig, params: Params, tokens: Float[Array, "N T token"]) -> Float[Array, "layer N T width"]:
    """The residual stream after every block, at each token."""
    decoder, prompt = _decoder(config, params, tokens)
    with jax.default_matmul_precision("highest"):
        _, watched = decoder.streams(tokens, prompt, watched=True)
    assert watched is not None
    found = rearrange(watched, "layer (N token) width -> layer N token width", N=tokens.shape[0])
    return found[:, :, len(prompt) :]


def _decoder(config: ModelConfig, params: Params, tokens: Array) -> tuple[Decoder, Array]:
    """The module with these parameters, and the vectors that stand before the tokens."""
    max_length, width = params["positions"].shape
    prompt = params.get("prompt", jnp.zeros((0, width)))
    outputs = params["readout"]["bias"].shape[-1]
    abstract = nnx.eval_shape(lambda: Decoder(config, tokens.shape[-1], max_length, outputs, rngs=nnx.Rngs(0)))
    graph, state = nnx.split(abstract)
    nnx.replace_by_pure_dict(state, {name: part for name, part in params.items() if name != "prompt"})
    return nnx.merge(graph, state), prompt
