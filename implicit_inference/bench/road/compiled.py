"""Worker: a configuration in the package's own compiled loop; and what a worker in PyTorch is handed of a seed."""

import json
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import numpy as np

from implicit_inference.bench.road.curves import work
from implicit_inference.bench.road.recipes import EVERY
from implicit_inference.bench.training import Trainer
from implicit_inference.config.changes import base, override
from implicit_inference.config.fields import Config
from implicit_inference.runs import runtime
from implicit_inference.worlds import described, world_of


def prepare(config: Config, seeds: list[int]) -> tuple[Callable[[], object], Callable[[], list[float]]]:
    """Packs a group of seeds: (EVERY steps of all of them, their excess over exact Bayes)."""
    trainer = Trainer(override(config, {"seeds": seeds}), EVERY)
    programs, families, held = trainer.programs, described(config.world).families, [trainer.fresh()]

    @cache
    def exact() -> np.ndarray:
        bayes = programs.bayes_losses(trainer.stage.reference)(programs.packed.seeds, programs.validation)
        return np.mean([bayes[family] for family in families], axis=0)

    def advance() -> None:
        held[0], _ = jax.block_until_ready(trainer.advance(held[0]))

    def excess() -> list[float]:
        params = trainer.stage.merge(held[0].params, held[0].frozen)
        losses = programs.validate(trainer.stage, params, families)
        return (np.mean([losses[family] for family in families], axis=0) - exact()).tolist()

    return advance, excess


def handed_over(config: Config, seeds: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Each seed's discrete set and fresh parameters by path; held-out tokens, their truth, and exact Bayes' loss."""
    trainer = Trainer(override(config, {"seeds": [*seeds]}), EVERY)
    programs, world = trainer.programs, world_of(config)
    held_out = [*programs.validation.values()]
    bayes = programs.bayes_losses(trainer.stage.reference)(programs.packed.seeds, programs.validation)
    params = jax.tree_util.tree_leaves_with_path(trainer.initial)
    packed = {
        "ws": programs.packed.by_seed(lambda seed: world.families(seed)["discrete"].ws),
        "tokens": np.concatenate([world.tokens(batch.prompts) for batch in held_out], axis=1),
        "truth": np.concatenate([world.truth(batch) for batch in held_out], axis=1),
        "bayes": np.mean([*bayes.values()], axis=0),
        **{f"params/{jax.tree_util.keystr(path, simple=True, separator='/')}": leaf for path, leaf in params},
    }
    return {seed: {name: np.asarray(leaf[at]) for name, leaf in packed.items()} for at, seed in enumerate(seeds)}


def main() -> None:
    """Trains the groups of a job."""
    runtime.prepare()
    fields = json.loads(sys.argv[1])["config"]
    config = override(base(fields["world"]), fields)
    work(lambda seeds: prepare(config, seeds))


if __name__ == "__main__":
    main()
