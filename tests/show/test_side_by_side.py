import pytest
from made_up import CONFIG

from implicit_inference.config.changes import PRESETS, fields_of, override
from implicit_inference.show import side_by_side

OTHER = override(CONFIG, {"finetune.steps": 100, "tasks.dim": 3})


def test_only_fields_that_differ_are_set_apart():
    differing, shared = side_by_side.side_by_side([CONFIG, OTHER, CONFIG])
    assert differing == {"tasks.dim": ["2", "3", "2"], "finetune.steps": ["400", "100", "400"]}
    assert set(differing) | set(shared) == set(fields_of("regression"))
    assert shared["seeds"] == "3, 5, 8"
    assert side_by_side.side_by_side([CONFIG])[0] == {}


def test_names_say_what_sets_a_run_apart():
    assert side_by_side.names_of([CONFIG, OTHER]) == [
        "A: d = 2, finetune.steps = 400",
        "B: d = 3, finetune.steps = 100",
    ]
    assert side_by_side.names_of([CONFIG]) == ["A"]


def test_runs_of_two_worlds_are_told_apart_by_their_world_and_by_what_differs_within_one():
    configs = [PRESETS["language-smoke"], CONFIG, OTHER]
    assert side_by_side.set_apart([PRESETS["language-smoke"], CONFIG]) == {"world": ["language", "regression"]}
    assert side_by_side.set_apart(configs) == {
        "world": ["language", "regression", "regression"],
        "tasks.dim": ["", "2", "3"],
        "finetune.steps": [str(PRESETS["language-smoke"].finetune.steps), "400", "100"],
    }
    assert side_by_side.names_of(configs)[1] == "B: world = regression, finetune.steps = 400, d = 2"
    assert "tasks.dim" not in side_by_side.names_of(configs)[0]
    loss = side_by_side.loss_of(configs)
    assert loss.startswith("language: cross-entropy")
    assert "; regression: noise-free squared error" in loss
    assert side_by_side.loss_of(configs[1:]) in loss


@pytest.mark.parametrize(("index", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")])
def test_letters_go_on_after_z(index, name):
    assert side_by_side.letter(index) == name
