"""The package's decoder and training step in plain PyTorch, to compare with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

EPSILON = 1e-6
"""The number that layer norms add to a variance, in the decoder too."""


class Block(nn.Module):
    """Pre-norm causal attention and a two-layer perceptron, each added to the residual stream."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width, EPSILON)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width, EPSILON)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, stream: Tensor) -> Tensor:
        batch, length, width = stream.shape
        split = self.queries_keys_values(self.norm_attention(stream)).view(batch, length, 3, self.heads, -1)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        stream = stream + self.attention_out(mixed.transpose(1, 2).reshape(batch, length, width))
        return stream + self.down(torch.relu(self.up(self.norm_mlp(stream))))


class Decoder(nn.Module):
    """Token embedding + learned positions, the blocks, a final norm, one output; from the JAX model's parameters."""

    def __init__(self, params: dict[str, Any], heads: int):
        super().__init__()
        token_width, width = params["embed"]["kernel"].shape
        layers = params["blocks"]["up"]["kernel"].shape[0]
        self.embed = nn.Linear(token_width, width)
        self.positions = nn.Parameter(torch.empty(params["positions"].shape))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, EPSILON)
        self.readout = nn.Linear(width, 1)
        self._load(params)

    def forward(self, tokens: Tensor) -> Tensor:
        stream = self.embed(tokens) + self.positions
        for block in self.blocks:
            stream = block(stream)
        return self.readout(self.norm(stream))[..., 0]

    @torch.no_grad()
    def _load(self, params: dict[str, Any]) -> None:
        names = {"kernel": "weight", "scale": "weight", "bias": "bias"}

        def fill(module: nn.Module, tree: dict[str, Any], layer: int | None = None) -> None:
            for name, value in tree.items():
                array = np.array(value if layer is None else value[layer])
                getattr(module, names[name]).copy_(torch.tensor(array.T if name == "kernel" else array))

        self.positions.copy_(torch.tensor(np.array(params["positions"])))
        for name in ("embed", "norm", "readout"):
            fill(getattr(self, name), params[name])
        for layer, block in enumerate(self.blocks):
            for name, tree in params["blocks"].items():
                fill(getattr(block, name), tree, layer)


def make_step(
    decoder: Decoder, draw: Callable[[], tuple[Tensor, Tensor]], read: slice, rate: float, clip: float
) -> Callable[[], float]:
    """One step of Adam on a batch (tokens, targets) that `draw` gives: the function returns the loss before it.

    `read`: the tokens that are read at.
    """
    optimizer = torch.optim.Adam(decoder.parameters(), lr=rate, fused=True)

    def step() -> float:
        tokens, targets = draw()
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(decoder(tokens)[:, read], targets)
        loss.backward()
        nn.utils.clip_grad_norm_(decoder.parameters(), clip)
        optimizer.step()
        return loss.item()

    return step
