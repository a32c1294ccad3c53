"""The steps of two stages."""

import pytest

from implicit_inference.study.controllability import two_stages


@pytest.mark.parametrize(
    ("parts", "steps"),
    [((0.0, 1.0), (0, 400)), ((0.25, 0.75), (100, 300)), ((1.0, 0.0), (400, 0)), ((0.5, 1), (200, 400))],
)
def test_stages_take_their_parts_and_a_warm_up_is_shorter_than_its_stage(parts, steps):
    fields = two_stages(400, parts, (1e-2, 5e-3))
    assert (fields["tune.steps"], fields["steer.steps"]) == steps
    assert (fields["tune.learning_rate"], fields["steer.learning_rate"]) == (1e-2, 5e-3)
    for stage in ("tune", "steer"):
        assert fields[f"{stage}.warmup"] < max(fields[f"{stage}.steps"], 1)
