"""The commands from end to end on a tiny model; mistakes are one line and exit code 2."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from implicit_inference.cli import main
from implicit_inference.lm import probe, prompts, scores
from implicit_inference.lm.models.directory import opened
from implicit_inference.lm.store import begun
from implicit_inference.lm.tuning import begin

PROMPTS = """
demonstrations = 1
[[pairs]]
name = "sums"
task = "repeat"
instruction = "math"
[conjugations]
format = { input = "Q", output = "A" }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A base model, another one, and one tuning of the base with two seeds."""
    path = tmp_path_factory.mktemp("lm")
    tiny.write(path / "base")
    tiny.write(path / "other", arrays=tiny.weights(tiny.config(), seed=1))
    tiny.write(path / "foreign", tokenizer=tiny.tokenizer_json(2, 400))
    tiny.write(path / "deep", tiny.config(num_hidden_layers=3))
    (path / "p.toml").write_text(PROMPTS)
    model, rng = opened(path / "base"), np.random.default_rng(0)
    with begun(path / "runs", "lm-tune", {"base": model.fingerprint, "seeds": [0, 1]}) as run:
        for seed in (0, 1):
            patch = begin(model.architecture, 2, seed)
            moved = {f"{name}/b": rng.normal(0, 0.1, of["b"].shape).astype(np.float32) for name, of in patch.items()}
            kept = {f"{name}/a": np.asarray(of["a"]) for name, of in patch.items()}
            run.write(f"seed-{seed}.safetensors", kept | moved)
    return path


@pytest.fixture
def run(place, capsys, monkeypatch):
    monkeypatch.chdir(place)

    def run(*arguments):
        code = main(["lm", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def tuning(place):
    """The tuning that came with the place; its settings are fewer than those of a command."""
    every = (place / "runs").glob("lm-tune-*")
    return next(path for path in every if len(json.loads((path / "run.json").read_text())) == 2)


def only(place, pattern, before):
    (found,) = set((place / "runs").glob(pattern)) - before
    return found


@pytest.mark.slow
def test_a_tuning_keeps_its_losses_and_is_found_again(run, place):
    before = set((place / "runs").glob("lm-tune-*"))
    ask = ("tune", "--model", "base", "--steps", 2, "--batch", 4, "--rank", 2)
    code, out, _ = run(*ask, "--seeds", 2)
    assert code == 0
    tuning = only(place, "lm-tune-*", before)
    losses = pd.read_csv(tuning / "losses.csv")
    assert losses["loss"].count() == 4
    assert losses["held_out"].count() == 4
    stamps = {path: path.stat().st_mtime_ns for path in tuning.glob("seed-*")}
    assert len(stamps) == 2
    code, again, _ = run(*ask, "--seeds", "0,1")
    assert code == 0
    assert again.endswith(out[out.index("run ") :])
    assert {path: path.stat().st_mtime_ns for path in tuning.glob("seed-*")} == stamps


def test_a_probe_answers_resumes_and_is_found_again(run, place, tuning, monkeypatch):
    before = set((place / "runs").glob("lm-probe-*"))
    ask = ("probe", "--base", "base", "--tuned", tuning.name[:14], "--neutral", tuning, "--prompts", "p.toml", "--n", 3)
    ask += ("--seeds", 2, "--doses", "0.5,1")
    score, answers, calls, scored = scores.score, probe.answers, [], []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return score(*arguments)

    def counted(*arguments):
        for chosen, rows in answers(*arguments):
            scored.extend(rows)
            yield chosen, rows

    monkeypatch.setattr(scores, "score", interrupted)
    monkeypatch.setattr(probe, "answers", counted)
    assert run(*ask)[0] == 130
    found = only(place, "lm-probe-*", before)
    kept = (found / "scores.jsonl").read_bytes()
    assert kept.count(b"\n") > 0
    (found / "scores.jsonl").write_bytes(kept + b'{"predictor": "ba')  # a line cut off
    code, out, _ = run(*ask)
    assert code == 0
    table = pd.read_parquet(found / "table.parquet")
    per_network = 2 * 2 * 3
    assert len(table) == (1 + 2 * 2 + 2) * per_network
    assert not table.duplicated([*probe.KEY]).any()
    records = table.to_dict("records")
    assert all(json.loads(line) in records for line in kept.decode().splitlines())
    assert len(records) == len(scored)  # none twice
    results = pd.read_csv(found / "results.csv")
    assert set(results["quantity"]) == {"margin", "greedy_context", "greedy_instruction", "change", "did"}
    assert set(results["predictor"]) == {"base", "tuned", "neutral"}
    assert "DiD, format" in out
    for name in ("margins.png", "page.html"):
        assert (found / name).stat().st_size > 1000
    calls.clear()
    code, again, _ = run(*ask)
    assert code == 0
    assert again.endswith(out[out.index("sums:") :])
    assert calls == []
    (found / "table.parquet").write_bytes(b"PAR1")
    code, _, err = run(*ask)
    assert code == 2
    assert "table.parquet: not whole" in err
    (found / "table.parquet").unlink()
    for content in (b'{"a": 1}\n', b"[]\n", b"x\n", b"\xff\n"):
        (found / "scores.jsonl").write_bytes(content)
        code, _, err = run(*ask)
        assert code == 2
        assert "scores.jsonl: not whole" in err


def test_a_directory_is_probed_as_a_run_is(run, place):
    """At a dose of 1 it is the other model; at a smaller one, on the straight line between the two."""
    before = set((place / "runs").glob("lm-probe-*"))
    assert (
        run("probe", "--base", "base", "--tuned", "other", "--prompts", "p.toml", "--n", 2, "--doses", "1e-6,1")[0] == 0
    )
    table = pd.read_parquet(only(place, "lm-probe-*", before) / "table.parquet")
    before |= set((place / "runs").glob("lm-probe-*"))
    assert run("probe", "--base", "other", "--tuned", "other", "--prompts", "p.toml", "--n", 2)[0] == 0
    other = pd.read_parquet(only(place, "lm-probe-*", before) / "table.parquet")

    def margins(table, predictor, strength):
        return table[(table["predictor"] == predictor) & (table["strength"] == strength)]["margin"].to_numpy()

    np.testing.assert_allclose(margins(table, "tuned", 1.0), margins(other, "base", 0.0), atol=1e-4)
    np.testing.assert_allclose(margins(other, "tuned", 1.0), margins(other, "base", 0.0), atol=1e-4)
    np.testing.assert_allclose(margins(table, "tuned", 1e-6), margins(table, "base", 0.0), atol=1e-2)
    assert np.abs(margins(table, "tuned", 1.0) - margins(table, "base", 0.0)).max() > 1


@pytest.mark.slow
def test_a_tuned_model_may_have_more_tokens(run, place):
    """Chat models do: their tokens are added to those of their base."""
    tiny.write(place / "longer", tiny.config(vocab_size=515))
    assert run("probe", "--base", "base", "--tuned", "longer", "--prompts", "p.toml", "--n", 1)[0] == 0


MISTAKES = [
    (["probe", "--base", "none", "--tuned", "base"], ["none: no such directory"]),
    (["probe", "--base", "base", "--tuned", "none"], ["none", "no such model directory and no such tuning"]),
    (["probe", "--base", "base", "--tuned", "base", "--neutral", "none"], ["none", "no such"]),
    (["probe", "--base", "base"], ["--tuned"]),
    (["probe", "--base", "base", "--tuned", "base", "--n", "0"], ["n = '0'", "a whole number >= 1"]),
    (["probe", "--base", "base", "--tuned", "base", "--n", "many"], ["n = 'many'"]),
    (["probe", "--base", "base", "--tuned", "base", "--n", "100"], ["n = 100", "too few questions", "at most 76"]),
    (["probe", "--base", "base", "--tuned", "base", "--seeds", "0"], ["seeds = '0'"]),
    (["probe", "--base", "base", "--tuned", "base", "--seeds", "1,1"], ["seeds = '1,1'", "each once"]),
    (["probe", "--base", "base", "--tuned", "base", "--seeds", "-1"], ["seeds = '-1'"]),
    (["probe", "--base", "base", "--tuned", "base", "--doses", "0"], ["doses = '0'", "above 0"]),
    (["probe", "--base", "base", "--tuned", "base", "--doses", "nan"], ["doses = 'nan'"]),
    (["probe", "--base", "base", "--tuned", "base", "--doses", "1,x"], ["doses = '1,x'"]),
    (["probe", "--base", "base", "--tuned", "base", "--dtype", "int8"], ["int8", "float32", "bfloat16"]),
    (["probe", "--base", "base", "--tuned", "base", "--prompts", "none.toml"], ["none.toml", "cannot be read"]),
    (["probe", "--base", "base", "--tuned", "base", "--prompts", "none.jsonl"], ["none.jsonl", "cannot be read"]),
    (["probe", "--base", "base", "--tuned", "foreign", "--n", "1"], ["base and foreign have different tokenizers"]),
    (["probe", "--base", "base", "--tuned", "deep", "--n", "1"], ["deep: has another layers than base"]),
    (["tune", "--model", "none"], ["none: no such directory"]),
    (["tune"], ["--model"]),
    (["tune", "--model", "base", "--tasks", "history"], ["tasks = 'history'", "math, blank, text"]),
    (["tune", "--model", "base", "--tasks", "math,math"], ["tasks = 'math,math'", "each once"]),
    (["tune", "--model", "base", "--steps", "0"], ["steps = '0'"]),
    (["tune", "--model", "base", "--steps", "1.5"], ["steps = '1.5'"]),
    (["tune", "--model", "base", "--batch", "0"], ["batch = '0'"]),
    (["tune", "--model", "base", "--rank", "-1"], ["rank = '-1'"]),
    (["tune", "--model", "base", "--rank", "17"], ["rank = 17", "at most 16"]),
    (["tune", "--model", "base", "--learning-rate", "0"], ["learning-rate = '0'", "> 0"]),
    (["tune", "--model", "base", "--learning-rate", "inf"], ["learning-rate = 'inf'"]),
    (["tune", "--model", "base", "--weight-decay", "-1"], ["weight-decay = '-1'", ">= 0"]),
    (["tune", "--model", "base", "--seeds", "two"], ["seeds = 'two'"]),
    (["convert", "none.gguf", "new"], ["none.gguf: no such file"]),
    (["convert", "p.toml", "base"], ["base: is there already"]),
    (["convert", "p.toml", "new"], ["p.toml: not a GGUF file"]),
    (["dance"], ["dance", "probe", "tune", "convert"]),
    ([], ["COMMAND"]),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=lambda value: " ".join(value[-4:]))
def test_mistakes_are_one_line_and_exit_code_two(run, place, arguments, words):
    there = sorted(place.rglob("*"))
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("implicit-inference: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err
    assert sorted(place.rglob("*")) == there


def test_what_the_runs_say_is_checked(run, place, tuning, tmp_path):
    code, _, err = run("probe", "--base", "other", "--tuned", tuning, "--n", 1)
    assert code == 2
    assert "was tuned on another model than other" in err
    broken = tmp_path / "lm-tune-1"
    broken.mkdir()
    settings = json.loads((tuning / "run.json").read_text())
    for content, words in (
        ("{", "not a tuning's settings"),
        ("{}", "not a tuning's settings"),
        (json.dumps(settings | {"seeds": 3}), "not a tuning's settings"),
        (json.dumps(settings), "unfinished: seed 0"),
    ):
        (broken / "run.json").write_text(content)
        code, _, err = run("probe", "--base", "base", "--tuned", broken, "--n", 1)
        assert code == 2
        assert words in err
    for seed in (0, 1):
        (broken / f"seed-{seed}.safetensors").write_bytes(b"x" * 20)
    code, _, err = run("probe", "--base", "base", "--tuned", broken, "--n", 1)
    assert code == 2
    assert "not whole" in err


def test_a_dose_between_models_of_different_sizes_is_refused(run, place):
    tiny.write(place / "longer", tiny.config(vocab_size=515))
    code, _, err = run("probe", "--base", "base", "--tuned", "longer", "--n", 1, "--doses", "0.5")
    assert code == 2
    assert "another vocabulary than base" in err


def test_prompts_longer_than_the_model_are_refused_before_any_weights(run, place):
    tiny.write(place / "short", tiny.config(max_position_embeddings=16))
    code, _, err = run("probe", "--base", "short", "--tuned", "short", "--n", 1)
    assert code == 2
    assert "at most 16 (max_position_embeddings)" in err
    code, _, err = run("tune", "--model", "short", "--steps", 1)
    assert code == 2
    assert "at most 16" in err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["lm", "--help"], ["lm", "probe", "--help"], ["lm", "tune", "--steps=0"]]
)
def test_help_and_mistakes_import_nothing_heavy(arguments):
    code = "import sys; from implicit_inference.cli import main\n"
    code += f"try: main({arguments!r})\nexcept SystemExit: pass\n"
    code += "sys.exit(bool({'jax', 'tokenizers', 'pandas', 'matplotlib', 'safetensors.flax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_the_prompts_that_are_shipped_can_be_scored(place):
    """By a byte-level tokenizer at least: no answer is joined with its prompt."""
    every = prompts.read(None, 8, (0,))
    assert len(probe.split(opened(place / "base"), [], every)) == len(every)


@pytest.mark.slow
def test_the_example_runs(place, monkeypatch, capsys):
    root = Path(__file__).parents[2]
    read = prompts.read
    plan = place / "p.toml"
    monkeypatch.setattr(prompts, "read", lambda path, n, draws: read(plan, 2, draws))  # fewer shapes to compile
    monkeypatch.setattr(sys, "argv", ["language_model.py", str(place / "base")])
    runpy.run_path(str(root / "examples" / "language_model.py"), run_name="__main__")
    out = capsys.readouterr().out
    assert "nats" in out
    assert out.count("identity") == out.count("format") == 1
