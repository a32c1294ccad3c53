"""Relearning: how soon replay restores a loss, which tells a capability that is suppressed from one that is gone."""

from collections.abc import Iterator
from typing import Any

from implicit_inference import keys
from implicit_inference.config.changes import override
from implicit_inference.config.fields import FINETUNE
from implicit_inference.keys import Stream
from implicit_inference.network.decoder import Params
from implicit_inference.training import optimisers
from implicit_inference.training.loop import Trained
from implicit_inference.training.programs import Programs
from implicit_inference.training.stages import stage_of

CHUNK, CHUNKS = 20, 8
"""Steps between two looks, and the number of them"""


def relearned(trained: Trained, params: Params) -> Iterator[tuple[int, Params]]:
    """Trains packed parameters on the pretraining distribution; gives (steps, parameters) every CHUNK steps.

    The recipe is that of fine-tuning, at its usual rate, constant, whatever the configuration's. Stores nothing.
    """
    recipe: dict[str, Any] = {"steps": CHUNK * CHUNKS, "replay": 1.0, "warmup": 0, "final_fraction": 1.0}
    recipe |= {"learning_rate": FINETUNE.learning_rate, "penalty": "none"}
    config = override(trained.config, {"finetune": recipe, "adapt.method": "full"})
    programs = Programs(config, trained.programs.packed.mesh)
    packed, stage = programs.packed, stage_of(config, "finetune")
    stream = packed.by_seed(lambda seed: keys.stream(seed, Stream.RELEARNING))
    source = packed.program(stage.source)(packed.seeds, (params,))
    rate = packed.repeated(optimisers.schedule(stage.training))
    state, merge = programs.first_state(stage, (params,)), packed.program(stage.merge)
    for chunk in range(CHUNKS + 1):
        yield CHUNK * chunk, merge(state.params, state.frozen)
        if chunk < CHUNKS:
            state, _ = programs.chunk("finetune", CHUNK)(packed.seeds, stream, source, rate, state)
