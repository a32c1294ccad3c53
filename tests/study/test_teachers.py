"""The spread of an effect over worlds of several networks."""

import numpy as np
import pandas as pd
from scripts import EXPERIMENTS, load

from implicit_inference.measure.formulas import over_seeds
from implicit_inference.study.results import Results

teachers = load(EXPERIMENTS, "teachers")


def test_networks_of_one_world_are_one_value_of_an_effect():
    worlds = np.random.default_rng(0).normal(size=6)
    networks = np.concatenate([worlds - 0.5, worlds + 0.5])  # seeds 0 to 11: one of each world in turn
    found, expected = teachers.of_worlds(networks), over_seeds(worlds)
    np.testing.assert_allclose([found.mean, found.stderr], [expected.mean, expected.stderr])
    table = Results(pd.DataFrame({"seed": range(12), "mean": networks}))
    assert teachers.EXPERIMENT.units(table) == 6
