"""Compiled programs: prompts packed over seeds are those of each seed, families share programs, a step one message."""

import jax
import numpy as np
import pytest

from implicit_inference.config.changes import PRESETS, override
from implicit_inference.keys import Stream
from implicit_inference.training.batches import held_out
from implicit_inference.training.programs import Programs

N = 6


@pytest.mark.parametrize(("preset", "programs"), [("smoke", 2), ("language-smoke", 2)])
def test_packed_prompts_are_those_of_each_seed(preset, programs):
    config = override(PRESETS[preset], {"seeds": [3, 4]})
    compiled = Programs(config)
    for stream in (Stream.VALIDATION, Stream.REPORT, Stream.TUNING):
        for family in config.families:
            packed = compiled.held_out(stream, family, N)
            for place, seed in enumerate(config.seeds):
                one = held_out(config, seed, stream, family, N)
                for ours, theirs in zip(jax.tree.leaves(packed), jax.tree.leaves(one), strict=True):
                    np.testing.assert_allclose(ours[place], theirs, rtol=1e-5, atol=1e-6)
    assert compiled._sampler(N).__wrapped__._cache_size() == programs


@pytest.mark.parametrize(("seeds", "messages"), [([0], 1), ([0, 1], 0)])
def test_devices_that_share_a_batch_send_one_message_a_step(seeds, messages):
    from implicit_inference.bench.training import Trainer

    trainer = Trainer(override(PRESETS["smoke"], {"seeds": seeds}), 2)
    chunk, packed = trainer.programs.chunk("pretrain", 2), trainer.programs.packed
    arguments = packed.seeds, trainer.stream, trainer.weights, trainer.rate, trainer.fresh()
    assert chunk.__wrapped__.lower(*arguments).as_text().count("all_reduce") == messages
