"""The split of steps between two stages."""

import pytest

from implicit_inference.study.controllability import two_stages


@pytest.mark.parametrize(("fraction", "steps"), [(0.0, (0, 400)), (0.25, (100, 300)), (1.0, (400, 0))])
def test_the_steps_of_both_stages_add_up_and_a_warm_up_is_shorter_than_its_stage(fraction, steps):
    fields = two_stages(400, fraction, (1e-2, 5e-3))
    assert (fields["tune.steps"], fields["steer.steps"]) == steps
    assert (fields["tune.learning_rate"], fields["steer.learning_rate"]) == (1e-2, 5e-3)
    for stage in ("tune", "steer"):
        assert fields[f"{stage}.warmup"] < max(fields[f"{stage}.steps"], 1)
