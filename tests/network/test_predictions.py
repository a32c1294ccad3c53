"""Networks as predictors, called eagerly."""

import jax
import numpy as np
import pytest

from implicit_inference.config.changes import PRESETS, override
from implicit_inference.network import controls
from implicit_inference.network.predictions import initial_params, predict
from implicit_inference.regression.prompts import Prompts

CONFIG = override(PRESETS["smoke"], {"model": {"width": 8, "layers": 1, "heads": 2}, "control.adapt.method": "lora"})
KEY = jax.random.key(0)
WORK = ("jaxpr_trace_duration", "backend_compile_duration")


@jax.jit
def fresh(seed):
    """A network and a controlled one."""
    params = initial_params(CONFIG, seed)
    return params, {"base": params, "controls": controls.fresh(CONFIG, params, KEY)}


@pytest.mark.parametrize(("controlled", "control"), [(0, None), (1, None), (1, 0)])
def test_the_second_eager_call_traces_and_compiles_nothing(controlled, control):
    networks, events = [fresh(seed)[controlled] for seed in (0, 1)], []
    prompts = [
        Prompts(*(jax.random.normal(key, shape) for shape in ((3, 4, 2), (3, 4)))) for key in jax.random.split(KEY)
    ]
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: events.append(event) if event.endswith(WORK) else None
    )
    answers = []
    try:
        for network, some in zip(networks, prompts, strict=True):
            answers.append((jax.block_until_ready(predict(CONFIG, network, some, control)), [*events]))
            events.clear()
    finally:
        jax.monitoring.clear_event_listeners()
    (first, work), (second, more) = answers
    assert work
    assert not more
    assert np.all(first != second)
