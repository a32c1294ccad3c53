"""Whatever stands in flags and files: a configuration that trains, or one printable line and exit code 2."""

import math

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from implicit_inference import cli
from implicit_inference.config.changes import PRESETS, base, fields_of, override
from implicit_inference.config.errors import ConfigError, UserError
from implicit_inference.config.identity import content, restored, run_id

HUGE = st.sampled_from(
    [10**400, -(10**400), 2**64, 10**21, 1e308, -1e308, 5e-324, 1e-300, math.nan, math.inf, -math.inf]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5) | HUGE
VALUES = st.recursive(
    PLAIN, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=5), v, max_size=3), max_leaves=6
)
FIELDS = fields_of("regression")
SECTIONS = {path.rpartition(".")[0] for path in FIELDS} - {""}
NAMES = st.sampled_from([*FIELDS, *SECTIONS]) | st.text(max_size=20)
TEXTS = (
    st.text(max_size=30)
    | st.sampled_from(
        ["1]\ny = [2", "0 # 1", "{}", "[]", "[[1]]", "9" * 5000, "1e400", "0x10", "1_0", "١", "nan", "-0.0"]
    )
    | st.integers().map(str)
    | st.floats().map(str)
)
BOUNDED = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = settings(max_examples=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_settled(config):
    """The configuration is one that arithmetic holds, and its id is that of what is stored of it."""
    for path in FIELDS:
        value = config
        for name in path.split("."):
            value = getattr(value, name)
        for item in value if isinstance(value, tuple) else [value]:
            assert isinstance(item, str) or (math.isfinite(item) and abs(item) < 1e10)
    for stage in ("pretrain", "scratch", "finetune", "probe"):
        again = restored(stage, content(stage, config))
        assert run_id(stage, again) == run_id(stage, config)
        assert content(stage, again) == content(stage, config)


def assert_one_line(message):
    assert len(message) < 300
    assert message.isprintable()


def change(base, changes):
    refusal = None
    try:
        assert_settled(override(base, changes))
    except ConfigError as error:
        refusal = str(error)
    if refusal is not None:
        assert_one_line(refusal)
        assert "allowed" in refusal or "did you mean" in refusal


def files(changes):
    """TOML-like text of `changes`, as a hand might write it."""
    return "\n".join(f"{name} = {value}" for name, value in changes.items())


def give(command, capsys):
    """Runs a command, training left out."""
    code = cli.main(command)
    err = capsys.readouterr().err
    assert code in (0, 2)
    if code:
        assert err.endswith("\n")
        assert_one_line(err[:-1])
    return err


@pytest.fixture
def untrained(monkeypatch):
    """Commands stop at the configuration that they would train."""
    seen = []
    monkeypatch.setattr(cli, "_trained", lambda config, options, *stages: seen.append(config))
    monkeypatch.setattr("implicit_inference.api.train", lambda trained, stages: None)
    return seen


@BOUNDED
@given(st.dictionaries(NAMES, VALUES, max_size=3))
@example({"seeds": {}})
@example({"tasks": {"dim": {}}})
@example({"tasks.dim": 2, "tasks": {"dim": 3}})
@example({"finetune": {"n_tasks": 4, "strength": -0.0}})
def test_changes_give_a_configuration_or_a_refusal(changes):
    change(base(), changes)


@BOUNDED
@given(st.dictionaries(NAMES, TEXTS, max_size=3))
@example({"seeds": "1]\ny = [2"})
@example({"seeds": "0 # 1"})
@example({"tasks.dim": "9" * 5000})
def test_flags_give_a_configuration_or_one_line(untrained, capsys, flags):
    give(
        ["pretrain", "--preset=smoke", *(f"--{name.replace('_', '-')}={text}" for name, text in flags.items())], capsys
    )


@BOUNDED
@given(st.dictionaries(NAMES, TEXTS, max_size=3).map(files) | st.text(max_size=60))
@example("x = " + "[" * 5000)
@example("[" + ".".join("a" * 2000) + "]\nx = 1")
@example("seeds = [" + "1" * 5000 + "]")
@example('"a\\u001b[31m\\nb" = 1')
@example("[seeds]")
def test_files_give_a_configuration_or_one_line(untrained, capsys, tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "c.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    give(["pretrain", f"--config={path}"], capsys)


@pytest.mark.slow
@MANY
@given(st.dictionaries(NAMES, VALUES, max_size=4), st.sampled_from(list(PRESETS)))
def test_many_more_changes(changes, preset):
    change(PRESETS[preset], changes)


@pytest.mark.slow
@MANY
@given(st.dictionaries(NAMES, TEXTS, max_size=4))
def test_many_more_flags(untrained, capsys, flags):
    give(["pretrain", *(f"--{name.replace('_', '-')}={text}" for name, text in flags.items())], capsys)


def test_a_long_message_keeps_its_ends():
    with pytest.raises(UserError) as caught:
        override(base(), {"x" * 100_000: "y" * 100_000})
    assert_one_line(str(caught.value))
    assert "did you mean" in str(caught.value)
