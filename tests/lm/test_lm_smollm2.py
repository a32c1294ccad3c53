"""Numbers of SmolLM2-135M-Instruct, for whoever has converted it: IMPLICIT_INFERENCE_SMOLLM2 names its directory."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference.lm.models.directory import opened
from implicit_inference.lm.models.forward import logits

DIRECTORY = os.environ.get("IMPLICIT_INFERENCE_SMOLLM2")

TOKENS = [504, 3575, 282, 4649, 314]
ANCHORS = {" Paris": -0.2581, " the": -2.7408, " London": -4.3844, " Berlin": -6.9207}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DIRECTORY, reason="IMPLICIT_INFERENCE_SMOLLM2 names no directory of the converted model"),
]


def test_log_probabilities_are_those_of_a_pass_written_out_in_numpy():
    """The numbers are those of `plain` in test_lm_forward.py, in float64, on the same weights."""
    model = opened(Path(DIRECTORY))
    tokens = model.tokenizer.encode("The capital of France is").ids
    assert tokens == TOKENS
    row, places = jnp.asarray([tokens]), jnp.arange(len(tokens))[None]
    found = logits(model.architecture, model.load("float32"), row, places, places * 0, places)
    log_p = np.asarray(jax.nn.log_softmax(found[0, -1]))
    for text, value in ANCHORS.items():
        (token,) = model.tokenizer.encode(text).ids
        assert log_p[token] == pytest.approx(value, abs=1e-3)
