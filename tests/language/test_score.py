"""The score of languages: its control that leaves the prompt alone, against a search that takes every power."""

import numpy as np
import pytest
from scipy.special import softmax

from implicit_inference.language.score import LEAST, POWERS, cross_entropy, flattened


@pytest.mark.parametrize(("sharpness", "best"), [(0.5, 1.5), (1.0, 1.0), (2.0, 0.5), (1e9, 0.05)])
def test_the_control_takes_the_power_of_the_predictions_that_is_nearest_to_the_truth(sharpness, best):
    logits = np.random.default_rng(0).normal(size=(2, 30, 5, 7))
    predictions, truth = softmax(sharpness * logits, axis=-1), softmax(logits, axis=-1)

    def raised(power, values):
        powers = np.maximum(values, LEAST) ** power
        return powers / powers.sum(axis=-1, keepdims=True)

    flat = flattened(predictions, truth)
    losses = [cross_entropy(raised(power, predictions), truth).mean() for power in POWERS]
    assert POWERS[int(np.argmin(losses))] == pytest.approx(best)
    others = softmax(np.random.default_rng(1).normal(size=(3, 7)), axis=-1)
    for values in (predictions, others):
        np.testing.assert_allclose(flat(values), raised(best, values), rtol=1e-12)
