import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from implicit_inference.config.changes import PRESETS, override
from implicit_inference.network import adapt
from implicit_inference.network.predictions import initial_params, predict
from implicit_inference.regression.prompts import Prompts

CONFIG = override(PRESETS["smoke"], {"model": {"width": 8, "layers": 3, "heads": 2}, "adapt.layers": [0, 2]})
PARAMS = jax.jit(lambda: initial_params(CONFIG, 0))()
KEY = jax.random.key(1)
MATRICES = ("queries_keys_values", "attention_out", "up", "down")


def start(method, **settings):
    return adapt.METHODS[method](dataclasses.replace(CONFIG.adapt, **settings), PARAMS, KEY)


def moved(patch):
    """The patch with every number changed."""
    leaves, tree = jax.tree.flatten(patch)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    return jax.tree.unflatten(
        tree, [leaf + jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    )


@pytest.mark.parametrize("method", adapt.METHODS)
def test_merging_the_patch_to_start_from_gives_the_parameters(method):
    merged = adapt.merge(start(method), PARAMS)
    merged.pop("prompt", None)
    chex.assert_trees_all_equal(merged, PARAMS)


def entries_that_move(method, **settings):
    """path -> where the merged parameters differ from the frozen ones, once every trained number has moved."""
    merged = adapt.flat(adapt.merge(moved(start(method, **settings)), PARAMS))
    changed = {path: np.asarray(merged[path] != leaf) for path, leaf in adapt.flat(PARAMS).items()}
    return {path: where for path, where in changed.items() if where.any()}


def test_each_method_moves_what_it_says_and_nothing_else():
    everything = adapt.flat(PARAMS)
    assert entries_that_move("full").keys() == everything.keys()
    assert entries_that_move("head").keys() == {"readout/kernel", "readout/bias"}
    assert entries_that_move("soft_prompt") == {}
    by_layer = entries_that_move("layers")
    assert by_layer.keys() == {path for path in everything if path.startswith("blocks/")}
    for where in by_layer.values():
        assert where[0].all()
        assert where[2].all()
        assert not where[1].any()
    values = entries_that_move("values")
    assert values.keys() == {f"blocks/queries_keys_values/{part}" for part in ("kernel", "bias")}
    for where in values.values():
        assert where[..., 16:].all()
        assert not where[..., :16].any()
    for targets, names in (("attention", MATRICES[:2]), ("mlp", MATRICES[2:]), ("all", MATRICES)):
        assert entries_that_move("lora", targets=targets).keys() == {f"blocks/{name}/kernel" for name in names}


@pytest.mark.parametrize("rank", [1, 3])
def test_low_rank_additions_merged_equal_unmerged_and_have_their_rank(rank):
    patch = moved(start("lora", rank=rank))
    merged = adapt.flat(adapt.merge(patch, PARAMS))
    for path, update in patch.items():
        frozen = np.asarray(adapt.flat(PARAMS)[path], np.float64)
        xs = np.asarray(jax.random.normal(KEY, (5, frozen.shape[1])), np.float64)
        for layer in range(3):
            a, b = (np.asarray(leaf[layer], np.float64) for leaf in (update.a, update.b))
            unmerged = xs @ frozen[layer] + (xs @ a) @ b
            np.testing.assert_allclose(xs @ np.asarray(merged[path][layer], np.float64), unmerged, atol=1e-5)
            singular = np.linalg.svd(np.asarray(merged[path][layer], np.float64) - frozen[layer], compute_uv=False)
            assert np.count_nonzero(singular > 1e-4) == rank


def test_where_attention_looks_makes_no_difference_once_the_values_are_zero():
    """So the columns that `values` trains are what attention takes, and the others where it looks."""
    zeroed = adapt.merge(jax.tree.map(jnp.zeros_like, start("values")), PARAMS)
    leaves = adapt.flat(zeroed)
    path = "blocks/queries_keys_values/kernel"
    scrambled = adapt.nested(leaves | {path: leaves[path].at[..., :16].multiply(-3.0)})
    prompts = Prompts(jax.random.normal(KEY, (4, 8, 2)), jax.random.normal(KEY, (4, 8)))
    plain, other = (jax.jit(lambda p: predict(CONFIG, p, prompts))(p) for p in (zeroed, scrambled))
    np.testing.assert_allclose(plain, other, rtol=1e-6)
    original = adapt.flat(PARAMS)
    moved_looks = adapt.nested(original | {path: original[path].at[..., :16].multiply(-3.0)})
    assert np.any(np.abs(predict(CONFIG, moved_looks, prompts) - predict(CONFIG, PARAMS, prompts)) > 1e-3)


def test_a_soft_prompt_of_length_0_is_the_base_and_a_longer_one_is_not():
    prompts = Prompts(jax.random.normal(KEY, (4, 8, 2)), jax.random.normal(KEY, (4, 8)))

    def predictions(params):
        return jax.jit(lambda p: predict(CONFIG, p, prompts))(params)

    base = predictions(PARAMS)
    np.testing.assert_array_equal(predictions(adapt.merge(start("soft_prompt", prompt_length=0), PARAMS)), base)
    longer = predictions(adapt.merge(moved(start("soft_prompt", prompt_length=3)), PARAMS))
    assert longer.shape == base.shape
    assert np.all(np.abs(longer - base) > 0)


def test_sizes_are_those_of_the_shapes():
    width, layers, rank = 8, 3, CONFIG.adapt.rank
    assert adapt.size(start("full")) == sum(leaf.size for leaf in jax.tree.leaves(PARAMS))
    assert adapt.size(start("head")) == width + 1
    assert adapt.size(start("soft_prompt", prompt_length=5)) == 5 * width
    assert adapt.size(start("values")) == layers * (width * width + width)
    assert adapt.size(start("lora", targets="attention")) == layers * rank * ((width + 3 * width) + (width + width))


def test_flat_and_nested_are_inverse():
    chex.assert_trees_all_equal(adapt.nested(adapt.flat(PARAMS)), PARAMS)
