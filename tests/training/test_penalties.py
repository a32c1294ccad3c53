import jax
import numpy as np

from implicit_inference import keys
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.network.predictions import initial_params, predict
from implicit_inference.regression.prompts import Prompts
from implicit_inference.training.penalties import PENALTIES

CONFIG = override(
    PRESETS["smoke"], {"model": {"width": 8, "layers": 1, "heads": 2}, "finetune.batch": 16, "prompts.length": 4}
)
BEFORE = jax.jit(lambda: initial_params(CONFIG, 0))()
AFTER = jax.tree.map(lambda leaf: leaf + 0.1, BEFORE)
KEY = jax.random.key(3)


def test_both_are_zero_where_nothing_moved_and_positive_where_all_did():
    for penalty in PENALTIES.values():
        value = jax.jit(lambda params, penalty=penalty: penalty(CONFIG, params, BEFORE, KEY))
        assert abs(float(value(BEFORE))) < 1e-12  # compiled in two ways, the same network differs in rounding
        assert float(value(AFTER)) > 0


def test_the_distance_of_the_weights_is_their_squared_distance_and_leaves_new_ones_out():
    count = sum(leaf.size for leaf in jax.tree.leaves(BEFORE))
    with_prompt = AFTER | {"prompt": np.ones((3, 8), np.float32)}
    found = float(PENALTIES["weights"](CONFIG, with_prompt, BEFORE, KEY))
    np.testing.assert_allclose(found, 0.01 * count, rtol=1e-4)


def test_the_distance_of_predictions_is_taken_on_prompts_that_the_network_before_made_up():
    """Made up anew here, label by label, from the same random numbers."""
    input_key, noise_key = jax.random.split(keys.named(KEY, "made up"))
    xs = jax.random.normal(input_key, (16, 4, 2))
    noise = np.asarray(jax.random.normal(noise_key, (16, 4)))
    before, after = (jax.jit(lambda prompts, p=p: predict(CONFIG, p, prompts)) for p in (BEFORE, AFTER))
    ys = np.zeros((16, 4), np.float32)
    for k in range(4):
        ys[:, k] = np.asarray(before(Prompts(xs, ys)))[:, k] + noise[:, k]
    made_up = Prompts(xs, ys)
    expected = np.mean((np.asarray(after(made_up)) - np.asarray(before(made_up))) ** 2)
    found = jax.jit(lambda: PENALTIES["predictions"](CONFIG, AFTER, BEFORE, KEY))()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_what_is_made_up_shares_no_random_number_with_the_batch_of_the_step():
    keys_of = [jax.random.split(KEY, n) for n in (2, 3)] + [jax.random.split(keys.named(KEY, "made up"))]
    numbers = np.concatenate([np.asarray(jax.random.key_data(k)) for k in keys_of[1:]])
    assert len(np.unique(numbers, axis=0)) == 5
