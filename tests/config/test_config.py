import dataclasses
import tomllib

import numpy as np
import pytest

from implicit_inference.config import changes as config
from implicit_inference.config import identity, memory
from implicit_inference.config.changes import PRESETS, base, override
from implicit_inference.config.errors import ConfigError
from implicit_inference.config.identity import run_id
from implicit_inference.config.stages import PROBED, STAGES, TRAININGS, parts_of


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_toml(name, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml(PRESETS[name]))
    start = config.start_of(path, base())
    assert override(start, config.changes_in(path, start.world)) == PRESETS[name]
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
        ({"student.target": "truth"}, ["student.target", "'truth'", "'label'"]),
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
        override(base(), changes)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_whole_number_serves_as_a_float_and_gives_the_same_id():
    whole, real = (override(base(), {"tasks.noise_std": value}) for value in (2, 2.0))
    assert whole == real
    assert run_id("pretrain", whole) == run_id("pretrain", real)


def test_what_a_stage_depends_on_grows_from_the_parent_that_its_command_starts_from():
    usual = ("world", "seeds", "worlds", "tasks", "prompts", "model", "pretrain")
    assert parts_of("scratch") == (*usual[:-1], "scratch")
    assert parts_of("student") == (*usual, "finetune", "adapt", "lesson", "student")
    assert parts_of("steer") == (*usual, "control", "tune", "steer")
    assert parts_of("probe") == (*usual, "finetune", "adapt", "probe")
    assert parts_of("probe", "steer") == (*usual, "finetune", "adapt", "probe", "control", "tune", "steer")
    assert TRAININGS == ("pretrain", "finetune", "student", "tune", "steer")


def test_every_field_moves_exactly_the_ids_that_depend_on_it():
    everything = set(STAGES)
    moved_by = {
        "seeds": ({"seeds": [9]}, everything),
        "worlds": ({"worlds": 2}, everything),
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
        changed = override(base(), changes)
        assert {stage for stage in STAGES if run_id(stage, changed) != run_id(stage, base())} == expected


def test_every_field_is_documented():
    for path, (_, field) in config.fields_of("regression").items():
        assert field.metadata["about"], path


def test_unreadable_files_are_named(tmp_path):
    for content in (None, b"tasks = [", b"\xff\xfe"):
        path = tmp_path / "config.toml"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"config\.toml"):
            config.changes_in(path, "regression")


def test_a_file_may_hold_only_what_differs(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("seeds = [5]\n[tasks]\ndim = 3\n")
    loaded = override(PRESETS["smoke"], config.changes_in(path, "regression"))
    expected = dataclasses.replace(
        PRESETS["smoke"], seeds=(5,), tasks=dataclasses.replace(PRESETS["smoke"].tasks, dim=3)
    )
    assert loaded == expected
    assert tomllib.loads(config.to_toml(loaded))["seeds"] == [5]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"tasks.noise_std": 2}, {"tasks.noise_std": np.float64(2.0)}),
        ({"finetune.replay": -0.0}, {"finetune.replay": 0.0}),
        ({"control.grades": [-0.0, 1]}, {"control.grades": (0.0, 1.0)}),
        ({"finetune.n_tasks": 4}, {"finetune.n_tasks": 0}),
        ({"worlds": 6}, {"worlds": 0}),
        ({"finetune.narrow_std": 3}, {}),
        ({"finetune.strength": 3}, {}),
        ({"finetune.penalty": "weights", "finetune.strength": 0}, {}),
        ({"adapt.rank": 7, "adapt.targets": "mlp", "adapt.layers": [1], "adapt.prompt_length": 9}, {}),
        ({"adapt.method": "layers", "adapt.layers": [2, 0]}, {"adapt.method": "layers", "adapt.layers": [0, 2]}),
        ({"adapt.method": "head", "adapt.rank": 7}, {"adapt.method": "head"}),
        ({"control.adapt.rank": 7}, {}),
        ({"tune.steps": 0, "tune.warmup": 0, "tune.optimizer": "muon"}, {"tune.steps": 0}),
    ],
)
def test_equal_content_has_one_id_at_every_stage(one, other):
    ids = [[run_id(stage, override(base(), changes)) for stage in STAGES] for changes in (one, other)]
    assert ids[0] == ids[1]


def test_a_student_depends_on_what_its_teacher_read_and_on_nothing_else():
    def id_of(**changes):
        return run_id("student", override(base(), {name.replace("__", "."): v for name, v in changes.items()}))

    for teacher, reads_steps, reads_tasks in (
        ("truth", False, False),
        ("bayes", False, True),
        ("finetuned", True, True),
        ("account", True, True),
    ):
        plain = id_of(lesson__teacher=teacher)
        assert (id_of(lesson__teacher=teacher, finetune__steps=7000) != plain) == reads_steps
        assert (id_of(lesson__teacher=teacher, finetune__tasks="other") != plain) == reads_tasks


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_stored_of_a_run_is_what_its_id_depends_on(stage):
    unrelated = {
        "pretrain": {"finetune.steps": 7000, "probe.prompts": 7, "lesson.prompts": 7},
        "scratch": {"finetune.steps": 7000, "pretrain.steps": 7000, "pretrain.discrete_prob": 0.1, "probe.prompts": 7},
        "finetune": {"probe.prompts": 7, "probe.scratch_steps": 777, "student.steps": 7000},
        "student": {"probe.prompts": 7, "control.train": "network"},
        "tune": {"finetune.steps": 7000, "control.train": "network", "steer.steps": 7000},
        "steer": {"finetune.steps": 7000, "probe.prompts": 7},
        "probe": {"student.steps": 7000, "tune.steps": 7000},
    }[stage]
    base = PRESETS["paper"]
    text, other = identity.stored_text(stage, base), identity.stored_text(stage, override(base, unrelated))
    assert text == other
    again = identity.restored(stage, tomllib.loads(text))
    assert run_id(stage, again) == run_id(stage, base)
    assert identity.stored_text(stage, again) == text


@pytest.mark.parametrize("name", PRESETS)
def test_the_nearest_preset_survives_some_changes(name):
    own = {"regression": {"tasks.dim": 3}, "language": {"tasks.epsilon": 0.3}}[PRESETS[name].world]
    changed = override(PRESETS[name], {"seeds": [9], "pretrain.steps": 4000} | own)
    for stage in ("pretrain", "finetune"):
        assert identity.nearest_preset(stage, changed) == name


def test_a_long_warmup_is_no_fault_of_a_run_that_has_no_scratch_control():
    long = override(PRESETS["paper"], {"pretrain.warmup": 4000})
    stored = identity.content("pretrain", long)
    assert identity.restored("pretrain", stored).pretrain == long.pretrain


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"seeds = {}", ["seeds = {}", "a list of whole numbers"]),
        (b"[seeds]", ["seeds = {}"]),
        (b"[tasks.dim]", ["tasks.dim = {}", "a whole number"]),
        (b"tasks = 3", ["tasks = 3", "no such field"]),
        (b"'tasks.dim' = 2\n[tasks]\ndim = 3", ["tasks.dim", "given twice"]),
        (b"x = " + b"[" * 3000, ["nested too deep"]),
        (b"[" + b".".join([b"a"] * 2000) + b"]\nb = 1", ["no such field"]),
        (b"seeds = [" + b"1" * 5000 + b"]", ["not TOML"]),
        (b"seeds = [1" + b"0" * 400 + b"]", ["seeds", "<= 4294967295"]),
        ("seeds = [1]".encode("utf-16"), ["not TOML"]),
        (b'"a\\u001b[31m\\nb" = 1', ["no such field", "x1b"]),
        (b"#" * 2**20 + b"\n", ["too large"]),
    ],
)
def test_odd_files_are_refused_by_name_in_one_line(content, words, tmp_path):
    path = tmp_path / "odd.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"odd\.toml: ") as caught:
        config.changes_in(path, "regression")
    for word in words:
        assert word in str(caught.value)


def test_a_byte_order_mark_is_read_over_and_the_encoding_is_always_utf8(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes("\ufeffseeds = [5]  # größer".encode())
    assert config.changes_in(path, "regression") == {"seeds": [5]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks.noise_std": 1e-300}, ["1e-300", "1e-06"]),
        ({"tasks.noise_std": 1e-5}, ["tasks.noise_std", "0.0001 of tasks.prior_std"]),
        ({"tasks.prior_std": 1e300}, ["1e+300", "1000000"]),
        ({"pretrain.clip": 1e-300}, ["pretrain.clip", "0.001"]),
        ({"pretrain.learning_rate": 1e-300}, ["pretrain.learning_rate", "1e-08"]),
        ({"finetune.penalty": "weights", "finetune.strength": 1e-300}, ["finetune.strength", "1e-06"]),
        ({"finetune.tasks": "narrow", "finetune.narrow_std": 1e5}, ["finetune.narrow_std", "10000"]),
        ({"probe.label_scales": [1e30]}, ["probe.label_scales", "10000"]),
        ({"probe.label_scales": [1e-30]}, ["probe.label_scales", "0.0001"]),
        ({"probe.input_scales": [1e30]}, ["probe.input_scales", "10000"]),
        ({"probe.label_shifts": [1e30]}, ["probe.label_shifts", "10000"]),
        ({"probe.label_shifts": [2, 2]}, ["probe.label_shifts", "each once"]),
        ({"tasks.dim": 10**400}, ["tasks.dim", "<= 1024"]),
        ({"tasks.prior_std": 10**400}, ["tasks.prior_std", "a number > 0"]),
        ({"tasks.n_discrete": 10**15}, ["tasks.n_discrete", "1000000"]),
        ({"pretrain.steps": 10**21}, ["pretrain.steps", "1000000000"]),
        ({"model.width": 10**12}, ["model.width", "32768"]),
        ({"seeds": list(range(2000))}, ["seeds", "at most 1024"]),
        ({"pretrain.optimizer": ["adam"]}, ["pretrain.optimizer", "adam, adamw, muon"]),
    ],
)
def test_values_beyond_the_arithmetic_are_refused(changes, words):
    with pytest.raises(ConfigError) as caught:
        override(base(), changes)
    for word in words:
        assert word in str(caught.value)


def test_a_configuration_that_the_machine_has_no_memory_for_is_refused_by_its_largest_field(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 8 * 2**30)
    memory.check(PRESETS["paper"], ("pretrain", "finetune", "probe"))
    for path, value, stage in (
        ("model.width", 8192, "pretrain"),
        ("probe.prompts", 10**7, "probe"),
        ("tasks.n_discrete", 10**6, "pretrain"),
        ("pretrain.batch", 2**20, "pretrain"),
        ("lesson.prompts", 10**8, "student"),
        ("prompts.length", 10**4, "pretrain"),
    ):
        changed = override(base(), {path: value} | ({"tasks.dim": 512} if path == "tasks.n_discrete" else {}))
        with pytest.raises(ConfigError, match=rf"{path} = {value}: .* GiB"):
            memory.check(changed, (stage,))


@pytest.mark.parametrize("stage", PROBED)
def test_a_probe_rests_on_the_stage_that_it_measures_and_is_restored_with_it(stage):
    config = override(base(), {"probe.stage": stage, "student.steps": 333, "steer.steps": 222})
    assert identity.parents_of("probe", config) == ("pretrain", stage, "scratch")
    restored = identity.restored("probe", identity.content("probe", config))
    assert run_id("probe", restored) == run_id("probe", config)
    assert getattr(restored, stage).steps == getattr(config, stage).steps
    others = {run_id("probe", override(config, {"probe.stage": other})) for other in PROBED}
    assert len(others) == 3
