"""The score of languages: its control that leaves the prompt alone, against a search that takes every power."""

import numpy as np
from scipy.special import softmax

from implicit_inference.language.score import LEAST, POWERS, cross_entropy, flattened

SHARPNESS = np.array([0.5, 1.0, 2.0, 1e9, -1.0, 0.8])
BEST = np.array([1.5, 1.0, 0.5, np.nan, 0.0, 1.25])


def raised(power, values):
    powers = np.where(values > 0, np.maximum(values, LEAST) ** power, 0)
    return powers / powers.sum(axis=-1, keepdims=True)


def test_the_control_takes_for_each_seed_and_position_the_power_that_is_nearest_to_the_truth():
    logits = np.random.default_rng(0).normal(size=(2, 30, 6, 7))
    sharpness = np.stack([SHARPNESS, SHARPNESS[::-1]])[:, None, :, None]
    predictions, truth = softmax(sharpness * logits, axis=-1), softmax(logits, axis=-1)
    others = softmax(np.random.default_rng(1).normal(size=(2, 3, 6, 7)), axis=-1)
    flat = flattened(predictions, truth)
    for s, best in enumerate((BEST, BEST[::-1])):
        for k, power in enumerate(best):
            grid = np.linspace(*POWERS, 301)
            losses = [cross_entropy(raised(p, predictions[s, :, k]), truth[s, :, k]).mean() for p in grid]
            found = cross_entropy(flat(predictions)[s, :, k], truth[s, :, k]).mean()
            assert found < min(losses) + 1e-5
            if np.isfinite(power):
                np.testing.assert_allclose(flat(others)[s, :, k], raised(power, others[s, :, k]), rtol=5e-3)


def test_words_of_probability_0_stay_so():
    predictions = np.random.default_rng(0).dirichlet(np.ones(5), (1, 20, 3))
    predictions[..., 3:] = 0
    truth = np.where(predictions > 0, 1 / 3, 0.0)
    flat = flattened(predictions, truth)(predictions)
    np.testing.assert_array_equal(flat[..., 3:], 0)
    np.testing.assert_allclose(flat[..., :3], 1 / 3, atol=1e-4)
