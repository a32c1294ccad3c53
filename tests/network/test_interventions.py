"""Interventions between two random networks of one tiny configuration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_up import TINY

from implicit_inference.config.changes import override
from implicit_inference.network import decoder
from implicit_inference.network.interventions import along, mean_change, replaced, spliced, without
from implicit_inference.network.predictions import initial_params, predict
from implicit_inference.training.batches import held_out
from implicit_inference.worlds import world_of

CONFIG = override(TINY, {"model.layers": 3})
PROMPTS = held_out(CONFIG, 0, "probe", "gaussian", 5).prompts


@pytest.fixture(scope="module")
def networks():
    """Two networks whose biases are not zero, as after training."""

    def grown(leaf):
        return leaf + 0.1 * jnp.sin(jnp.arange(leaf.size, dtype=jnp.float32)).reshape(leaf.shape)

    return tuple(jax.tree.map(grown, initial_params(CONFIG, seed)) for seed in (1, 2))


def answers(params):
    return np.asarray(predict(CONFIG, params, PROMPTS))


def test_the_ends_of_the_path_are_the_networks(networks):
    before, after = networks
    for t, end in ((0.0, before), (1.0, after)):
        np.testing.assert_allclose(answers(along(before, after, t)), answers(end), atol=1e-5)
    np.testing.assert_allclose(answers(along(before, after, 1.5)), answers(along(after, before, -0.5)), atol=1e-5)


def test_splices_go_from_the_one_network_to_the_other_but_for_the_read_out(networks):
    before, after = networks
    assert np.abs(answers(before) - answers(after)).max() > 1e-3
    all_but = replaced(after, before, "readout")
    all_but["norm"] = after["norm"]
    np.testing.assert_allclose(answers(spliced(before, after, 3)), answers(all_but), atol=1e-6)
    late = spliced(after, before, 3)
    np.testing.assert_allclose(answers(replaced(before, late, "readout")), answers(late), atol=1e-6)


def test_a_splice_is_the_stream_patched_behind_a_block(networks):
    """The stream behind the first block is that of the network before; from there on the other network works."""
    before, after = networks
    tokens = world_of(CONFIG).tokens(PROMPTS)
    pair = {"old": before, "spliced": spliced(before, after, 1)}
    of = {name: decoder.streams(CONFIG.model, params, tokens) for name, params in pair.items()}
    np.testing.assert_allclose(of["spliced"][0], of["old"][0], atol=1e-6)
    assert np.abs(of["spliced"][1] - of["old"][1]).max() > 1e-3


def test_streams_end_in_the_outputs_and_a_constant_is_taken_out_behind_its_block(networks):
    before, after = networks
    tokens = world_of(CONFIG).tokens(PROMPTS)
    change = mean_change(CONFIG, before, after, PROMPTS)
    old, new = (decoder.streams(CONFIG.model, params, tokens) for params in (before, after))
    np.testing.assert_allclose(change, (new - old).mean(axis=(1, 2)), atol=1e-6)
    taken = decoder.streams(CONFIG.model, without(after, change, 1), tokens)
    np.testing.assert_allclose(taken[0], new[0], atol=1e-6)
    np.testing.assert_allclose(taken[1], new[1] - change[1][None, None], atol=1e-5)
