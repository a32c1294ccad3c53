import dataclasses
import tomllib

import pytest

from implicit_inference import config
from implicit_inference.config import PRESETS, Config, override, run_id
from implicit_inference.errors import ConfigError


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_toml(name, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml(PRESETS[name]))
    assert override(Config(), config.changes_in(path)) == PRESETS[name]
    assert override(PRESETS[name], {}) == PRESETS[name]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks.dims": 3}, ["tasks.dims", "3", "no such field", "tasks.dim"]),
        ({"nonsense": 3}, ["nonsense", "no such field"]),
        ({"tasks": 3}, ["tasks", "no such field"]),
        ({"tasks.dim.x": 3}, ["tasks.dim.x", "no such field"]),
        ({"tasks.dim": 3.7}, ["tasks.dim", "3.7", "a whole number", ">= 1"]),
        ({"tasks.dim": True}, ["tasks.dim", "True", "a whole number"]),
        ({"tasks.dim": 0}, ["tasks.dim", "0", ">= 1"]),
        ({"tasks.noise_std": 0}, ["tasks.noise_std", "0", "> 0"]),
        ({"tasks.noise_std": float("nan")}, ["tasks.noise_std", "nan", "a number"]),
        ({"tasks.noise_std": "much"}, ["tasks.noise_std", "'much'", "a number"]),
        ({"pretrain": {"discrete_prob": 1.5}}, ["pretrain.discrete_prob", "1.5", "<= 1"]),
        ({"pretrain.optimizer": "sgd"}, ["pretrain.optimizer", "'sgd'", "adam, adamw, muon"]),
        ({"pretrain": {"warmup": 90, "steps": 90}}, ["pretrain.warmup", "90", "less than pretrain.steps"]),
        ({"probe.scratch_steps": 50}, ["probe.scratch_steps", "50", "more than pretrain.warmup (100)"]),
        ({"model.heads": 3}, ["model.heads", "3", "divisor of model.width"]),
        ({"seeds": []}, ["seeds", "at least one"]),
        ({"seeds": [1, 1]}, ["seeds", "each once"]),
        ({"seeds": [-1]}, ["seeds", "whole numbers", ">= 0"]),
        ({"seeds": 3}, ["seeds", "3", "a list of whole numbers"]),
        ({"probe.label_scales": [0.0, 2.0]}, ["probe.label_scales", "other than 0"]),
        ({"probe.label_scales": []}, ["probe.label_scales", "at least one"]),
        ({"adapt.method": "layers", "adapt.layers": [4]}, ["adapt.layers", "[4]", "below model.layers (4)"]),
        ({"control.adapt.layers": []}, ["control.adapt.layers", "[]", "at least one"]),
        ({"pretrain.penalty": "weights"}, ["pretrain.penalty", "'weights'", "'none'"]),
        ({"finetune.penalty": "weights", "adapt.method": "soft_prompt"}, ["finetune.penalty", "'weights'"]),
        ({"steer.discrete_prob": 0.5}, ["steer.discrete_prob", "0.5", "allowed: 1"]),
        ({"student.target": "noise_free"}, ["student.target", "'noise_free'", "'label'"]),
        ({"lesson.as_drawn": 1.0}, ["lesson.as_drawn", "1", "at least one of 12 labels"]),
        ({"control.grades": [0.5]}, ["control.grades", "[0.5]", "at least two"]),
        (
            {"control": {"train": "network", "adapt": {"method": "lora"}}, "tune": {"steps": 0, "warmup": 0}},
            ["control.train", "'network'", "'both'"],
        ),
        ({"pretrain.steps": 0}, ["pretrain.steps", "0", ">= 1"]),
    ],
)
def test_refusals_name_the_field_the_value_and_what_is_allowed(changes, words):
    with pytest.raises(ConfigError) as caught:
        override(Config(), changes)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_whole_number_serves_as_a_float_and_gives_the_same_id():
    whole, real = (override(Config(), {"tasks.noise_std": value}) for value in (2, 2.0))
    assert whole == real
    assert run_id("pretrain", whole) == run_id("pretrain", real)


def test_every_field_moves_exactly_the_ids_that_depend_on_it():
    everything = set(config.STAGES)
    moved_by = {
        "seeds": ({"seeds": [9]}, everything),
        "finetune.steps": ({"finetune.steps": 7000}, {"finetune", "student", "probe"}),
        "finetune.discrete_prob": ({"finetune.discrete_prob": 0.9}, {"scratch", "finetune", "student", "probe"}),
        "probe.prompts": ({"probe.prompts": 77}, {"probe"}),
        "probe.scratch_steps": ({"probe.scratch_steps": 777}, {"scratch", "probe"}),
        "pretrain.steps": ({"pretrain.steps": 7000}, everything - {"scratch"}),
        "adapt.rank": ({"adapt.method": "lora", "adapt.rank": 7}, {"finetune", "student", "probe"}),
        "lesson.teacher": ({"lesson.teacher": "truth"}, {"student"}),
        "control.adapt.prompt_length": ({"control.adapt.prompt_length": 7}, {"tune", "steer"}),
        "control.train": ({"control.train": "network"}, {"steer"}),
        "tune.steps": ({"tune.steps": 7000}, {"tune", "steer"}),
        "steer.steps": ({"steer.steps": 7000}, {"steer"}),
    }
    for changes, expected in moved_by.values():
        changed = override(Config(), changes)
        assert {stage for stage in config.STAGES if run_id(stage, changed) != run_id(stage, Config())} == expected


def test_every_field_is_documented():
    for path, _, field in config.fields_of(Config):
        assert field.metadata["about"], path


def test_unreadable_files_are_named(tmp_path):
    for content in (None, b"tasks = [", b"\xff\xfe"):
        path = tmp_path / "config.toml"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"config\.toml"):
            config.changes_in(path)


def test_a_file_may_hold_only_what_differs(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("seeds = [5]\n[tasks]\ndim = 3\n")
    loaded = override(PRESETS["smoke"], config.changes_in(path))
    expected = dataclasses.replace(
        PRESETS["smoke"], seeds=(5,), tasks=dataclasses.replace(PRESETS["smoke"].tasks, dim=3)
    )
    assert loaded == expected
    assert tomllib.loads(config.to_toml(loaded))["seeds"] == [5]
