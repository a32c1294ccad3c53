import numpy as np

from implicit_inference.study.results import Results


def test_records_are_reduced_over_seeds_alone():
    records = [
        {"alpha": alpha, "seed": seed, "mean": alpha + seed, "n": 7} for alpha in (0.1, 0.2) for seed in (0, 1, 2)
    ]
    ratio = {"alpha": 0.1, "quantity": "ratio", "mean": 4.0, "stderr": 0.5, "seeds": 3, "n": 7}
    logits = [{"alpha": 0.1, "quantity": "prior_logit", "seed": seed, "mean": 9.0 * seed, "n": 7} for seed in (0, 1)]
    table = Results([*records, ratio, *logits]).reduced()
    np.testing.assert_allclose(table.column("alpha"), [0.1, 0.2, 0.1, 0.1, 0.1])
    np.testing.assert_allclose(table.column("mean"), [1.1, 1.2, 4.0, 0.0, 9.0])
    np.testing.assert_allclose(table.column("stderr"), [1 / np.sqrt(3), 1 / np.sqrt(3), 0.5, np.nan, np.nan])
    np.testing.assert_allclose(table.column("seeds"), [3, 3, 3, np.nan, np.nan])
    np.testing.assert_allclose(table.column("seed"), [np.nan, np.nan, np.nan, 0, 1])
