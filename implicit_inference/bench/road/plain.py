"""Worker: the published recipe in plain PyTorch, which draws its own data; JAX is not imported."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from implicit_inference.bench.pytorch import Decoder, make_step
from implicit_inference.bench.road.curves import work
from implicit_inference.bench.road.recipes import EVERY


def draw(
    generator: torch.Generator, ws: Tensor, batch: int, length: int, known: float, prior_std: float, noise_std: float
) -> tuple[Tensor, Tensor]:
    """A batch of the mixture, as interleaved tokens [batch, 2 length, d], and its labels [batch, length].

    A task is a row of `ws` [n, d] with probability `known`, else from N(0, prior_std^2 I); x ~ N(0, I);
    y = <w, x> + noise_std N(0, 1).
    """
    dim = ws.shape[1]
    from_set = torch.rand(batch, 1, generator=generator) < known
    row = torch.randint(len(ws), (batch,), generator=generator)
    tasks = torch.where(from_set, ws[row], prior_std * torch.randn(batch, dim, generator=generator))
    xs = torch.randn(batch, length, dim, generator=generator)
    ys = torch.einsum("nkd,nd->nk", xs, tasks) + noise_std * torch.randn(batch, length, generator=generator)
    tokens = torch.zeros(batch, 2 * length, dim)
    tokens[:, 0::2] = xs
    tokens[:, 1::2, 0] = ys
    return tokens, ys


def nested(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, Any]:
    """The arrays whose names begin with `prefix`, by the parts of their paths."""
    tree: dict[str, Any] = {}
    for name in arrays:
        if name.startswith(prefix):
            *parents, leaf = name.removeprefix(prefix).split("/")
            below = tree
            for parent in parents:
                below = below.setdefault(parent, {})
            below[leaf] = arrays[name]
    return tree


def prepare(
    config: dict[str, Any], seed: int, held_out: Mapping[str, np.ndarray]
) -> tuple[Callable[[], object], Callable[[], list[float]]]:
    """One seed: (EVERY steps, its excess over exact Bayes)."""
    training, tasks = config["pretrain"], config["tasks"]
    decoder = Decoder(nested(held_out, "params/"), config["model"]["heads"])
    ws, tokens, truth = (torch.tensor(held_out[name]) for name in ("ws", "tokens", "truth"))
    generator = torch.Generator().manual_seed(seed)
    read = slice(None, None, 2)

    def batch() -> tuple[Tensor, Tensor]:
        numbers = training["discrete_prob"], tasks["prior_std"], tasks["noise_std"]
        return draw(generator, ws, training["batch"], config["prompts"]["length"], *numbers)

    step = make_step(decoder, batch, read, training["learning_rate"], training["clip"])

    @torch.no_grad()
    def excess() -> list[float]:
        losses = [
            torch.mean((decoder(shown)[:, read] - wanted) ** 2).item()
            for shown, wanted in zip(tokens.split(training["batch"]), truth.split(training["batch"]), strict=True)
        ]
        return [float(np.mean(losses) - held_out["bayes"])]

    return lambda: [step() for _ in range(EVERY)], excess


def main() -> None:
    """Trains the groups of a job, each of one seed, on as many threads as it is told."""
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])

    def prepared(seeds: list[int]) -> tuple[Callable[[], object], Callable[[], list[float]]]:
        (seed,) = seeds
        with np.load(Path(job["held_out"], f"{seed}.npz")) as arrays:
            return prepare(job["config"], seed, dict(arrays))

    work(prepared)


if __name__ == "__main__":
    main()
