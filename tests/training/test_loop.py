import copy
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import chex
import jax
import numpy as np
import pytest
from made_up import TINY as CONFIG
from safetensors.numpy import load_file

from implicit_inference import Prompts, bayes_predictor, keys
from implicit_inference.cli import main
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.chunks import chunk_length
from implicit_inference.config.stages import STAGES
from implicit_inference.runs import hosts
from implicit_inference.runs.store import StoreError
from implicit_inference.training.batches import draw_batch, held_out, log_weights, prior
from implicit_inference.training.loop import Trained, train_stage
from implicit_inference.training.optimisers import schedule
from implicit_inference.training.programs import Programs
from implicit_inference.training.stages import kept_shapes, stage_of
from implicit_inference.training.watching import TrainingDivergedError, refuse_divergence
from implicit_inference.worlds import world_of


def quiet(progress):
    pass


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return Trained.of(CONFIG, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def pretrained(trained):
    return train_stage(trained, "pretrain", quiet)


def elsewhere(trained, runs):
    """Shares the programs, in a directory of its own."""
    return Trained(copy.copy(trained.programs), runs)


def params_of(run):
    return load_file(run.path("params.safetensors"))


@pytest.mark.slow
def test_packed_seeds_equal_single_seeds(pretrained, tmp_path):
    """By losses: the bias of attention keys has no gradient but rounding, which Adam makes as large as any other."""
    seed = CONFIG.seeds[-1]
    alone = dataclasses.replace(CONFIG, seeds=(seed,))
    single = train_stage(Trained.of(alone, tmp_path), "pretrain", quiet).read_table("training.parquet")
    expected = [record["mean"] for record in pretrained.read_table("training.parquet") if record["seed"] == seed]
    assert len(expected) > 40
    np.testing.assert_allclose([record["mean"] for record in single], expected, rtol=1e-4)


def test_an_interrupt_keeps_the_state_and_the_resumed_run_is_bit_equal(trained, pretrained, tmp_path, capsys):
    def interrupt(progress):
        if progress.step >= 10:
            raise KeyboardInterrupt

    trained = elsewhere(trained, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train_stage(trained, "pretrain", interrupt)
    run = trained.run_of("pretrain")
    assert not run.finished
    assert run.checkpoint == 10
    assert main(["show", run.id, "--runs", str(trained.runs)]) == 0
    assert "unfinished; step 10 of 40 is kept" in capsys.readouterr().out
    steps = []
    train_stage(trained, "pretrain", lambda progress: steps.append(progress.step))
    assert steps[0] == 10
    assert run.finished
    assert {path.name for path in run.directory.iterdir()} == {*run.info()["files"], "run.json"}
    chex.assert_trees_all_equal(params_of(pretrained), params_of(run))
    assert pretrained.read_table("training.parquet") == run.read_table("training.parquet")
    before = run.path("params.safetensors").stat().st_mtime_ns
    train_stage(trained, "pretrain", quiet)
    assert run.path("params.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(("validations", "kept"), [(1, 0), (3, 4)])
def test_an_interrupt_before_the_losses_of_a_step_are_taken_keeps_what_can_be_resumed(
    trained, pretrained, tmp_path, monkeypatch, validations, kept
):
    trained, left = elsewhere(trained, tmp_path), [None] * validations

    def interrupted(*arguments):
        left.pop()
        if not left:
            raise KeyboardInterrupt
        return Programs.validate(trained.programs, *arguments)

    monkeypatch.setattr(trained.programs, "validate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_stage(trained, "pretrain", quiet)
    monkeypatch.undo()
    run = trained.run_of("pretrain")
    assert run.checkpoint == kept
    train_stage(trained, "pretrain", quiet)
    chex.assert_trees_all_equal(params_of(pretrained), params_of(run))
    assert pretrained.read_table("training.parquet") == run.read_table("training.parquet")


def test_a_run_that_another_process_finished_in_the_meantime_is_left_as_it_is(trained, pretrained, monkeypatch):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in pretrained.directory.iterdir()}
    monkeypatch.setattr(hosts, "agreed", lambda flag: False)  # as if it was not finished when it was looked at first
    assert train_stage(trained, "pretrain", quiet) == pretrained
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in pretrained.directory.iterdir()} == before


def test_nothing_rests_on_a_stage_that_is_unfinished_or_another_run_s(trained, pretrained, tmp_path):
    trained = elsewhere(trained, tmp_path)
    for stage in ("finetune", "tune", "student"):
        with pytest.raises(StoreError, match=f"{pretrained.id}: must be finished"):
            train_stage(trained, stage, quiet)
    assert list(tmp_path.iterdir()) == []
    other = Trained.of(override(CONFIG, {"pretrain.steps": 41}), tmp_path)
    shutil.copytree(pretrained.directory, other.run_of("pretrain").directory)
    with pytest.raises(StoreError, match="it is not the configuration of this run"):
        other.params_of("pretrain")


def test_divergence_stops_with_step_and_advice_and_keeps_the_last_good_state(tmp_path):
    wild = override(CONFIG, {"pretrain": {"optimizer": "adamw", "learning_rate": 100, "weight_decay": 10}})
    trained = Trained.of(wild, tmp_path)
    with pytest.raises(TrainingDivergedError, match=r"pretrain: .* step \d+ \(seed \d\); lower pretrain.learning_rate"):
        train_stage(trained, "pretrain", quiet)
    run = trained.run_of("pretrain")
    assert not run.finished
    kept = load_file(run.path(f"checkpoint-{run.checkpoint}.safetensors"))
    assert all(np.all(np.isfinite(leaf)) for leaf in kept.values() if leaf.dtype == np.float32)


def test_finetuning_starts_from_the_parent_and_moves(trained, pretrained):
    child = train_stage(trained, "finetune", quiet)
    assert child.info()["parents"] == [pretrained.id]

    def losses(run, step):
        records = [r for r in run.read_table("training.parquet") if (r["step"], r["predictor"]) == (step, "network")]
        return {f"{r['seed']} {r['family']}": r["mean"] for r in records}

    first, last = losses(child, 0), losses(pretrained, 40)
    assert first == pytest.approx(last, rel=1e-5)
    assert any(np.any(a != b) for a, b in zip(params_of(pretrained).values(), params_of(child).values(), strict=True))


def test_scratch_shares_the_program_of_pretraining(trained):
    chunk = trained.programs.chunk("pretrain", 2)
    assert trained.programs.chunk("scratch", 2) is chunk
    assert trained.programs.chunk("student", 2) is not chunk


def test_the_discrete_set_belongs_to_the_seed_and_pure_priors_are_the_pure_families():
    ws = [np.asarray(world_of(CONFIG).families(seed)["discrete"].ws) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(ws[0], ws[1])
    assert np.all(ws[0] != ws[2])
    for prob, component in ((1.0, 0), (0.0, 1)):
        _, drawn = prior(CONFIG, 0, log_weights(prob)).draw(jax.random.key(0), 500)
        assert set(np.asarray(drawn).tolist()) == {component}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_traces_all_its_stages(name, tmp_path):
    programs = Programs(PRESETS[name])
    seeds = programs.packed.seeds
    packed = seeds.shape
    for name in STAGES:
        if name == "probe":
            continue
        stage = stage_of(programs.config, name)
        parents = tuple(
            jax.tree.map(lambda leaf: leaf.update(shape=(*packed, *leaf.shape)), kept_shapes(programs.config, parent))
            for parent in stage.parents
        )
        state = jax.eval_shape(partial(programs.first_state, stage), parents)
        stream = jax.eval_shape(jax.vmap(jax.random.key), seeds)
        source = jax.eval_shape(programs.packed.program(stage.source), seeds, parents)
        rate = programs.packed.repeated(schedule(stage.training))
        after, losses = jax.eval_shape(programs.chunk(name, 3), seeds, stream, source, rate, state)
        assert losses.shape == (*packed, 3)
        assert jax.tree.map(lambda leaf: leaf.dtype, after) == jax.tree.map(lambda leaf: leaf.dtype, state)


@pytest.mark.parametrize("steps", [1, 7, 19, 20, 97, 200, 601, 3000, 100_000])
def test_chunks_cover_a_stage_in_about_twenty_parts_or_more_where_they_would_be_long(steps):
    length = chunk_length(steps)
    assert 1 <= length <= 250
    assert -(-steps // length) <= max(41, steps // 125)


def test_the_first_loss_that_is_not_finite_is_named():
    losses = np.ones((2, 3))
    refuse_divergence("pretrain", CONFIG.pretrain, (0, 1), [11, 12, 12], losses, 10)
    losses[0, 2] = np.inf
    losses[1, 1] = np.nan
    with pytest.raises(TrainingDivergedError, match=r"step 12 \(seed 1\).* after step 10 is kept"):
        refuse_divergence("pretrain", CONFIG.pretrain, (0, 1), [11, 12, 12], losses, 10)


def test_weights_next_to_one_keep_their_digits():
    np.testing.assert_allclose(log_weights(1 - 1e-9), [-1e-9, np.log(1e-9)], rtol=1e-6)
    np.testing.assert_array_equal(log_weights(1.0), [0, -np.inf])


def test_the_bayes_level_of_a_stage_is_that_of_its_own_prior(trained):
    records = train_stage(trained, "scratch", quiet).read_table("training.parquet")
    for index, seed in enumerate(CONFIG.seeds):
        batch = trained.programs.validation["discrete"]
        prompts = Prompts(batch.prompts.xs[index], batch.prompts.ys[index])
        exact = jax.jit(bayes_predictor(world_of(CONFIG).families(seed)["discrete"], 1.0))(prompts)
        expected = float(np.mean(np.square(exact - batch.clean_labels[index])))
        stored = {r["mean"] for r in records if (r["seed"], r["family"], r["predictor"]) == (seed, "discrete", "bayes")}
        assert len(stored) == 1
        assert stored.pop() == pytest.approx(expected, rel=1e-4)


def test_training_and_held_out_streams_share_no_input():
    seen = set()
    for name in ("pretrain", "scratch", "finetune"):
        tasks = prior(CONFIG, 0, log_weights(0.5))
        prompts, _ = draw_batch(CONFIG, CONFIG.pretrain, tasks, jax.random.fold_in(keys.stream(0, name), 0))
        seen.add(float(prompts.xs[0, 0, 0]))
    for stream in ("validation", "probe report", "probe choice"):
        for family in ("discrete", "gaussian"):
            seen.add(float(held_out(CONFIG, 0, stream, family, 4).prompts.xs[0, 0, 0]))
    assert len(seen) == 9


@pytest.mark.slow
def test_a_killed_process_resumes_to_bit_equal_parameters(tmp_path):
    flags = ["--preset", "smoke", "--seeds", "0", "--model.width", "8", "--model.layers", "1", "--model.heads", "2"]
    flags += ["--pretrain.steps", "2000", "--pretrain.batch", "32", "--pretrain.target", "label"]

    def start(runs):
        command = [sys.executable, "-m", "implicit_inference.cli", "pretrain", *flags, "--runs", str(tmp_path / runs)]
        with open(tmp_path / "stderr", "w") as stderr:
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)

    def said_on_stderr():
        return (tmp_path / "stderr").read_text()

    def only(runs):
        return next((tmp_path / runs).glob("pretrain-*"))

    whole = start("whole")
    assert whole.wait(120) == 0, said_on_stderr()

    for number, (code, as_text) in {
        signal.SIGKILL: (-signal.SIGKILL, ""),
        signal.SIGINT: (130, "interrupted; the same command resumes"),
        signal.SIGTERM: (143, "terminated; the same command resumes"),
    }.items():
        victim = start("parts")
        deadline = time.monotonic() + 120
        before = set((tmp_path / "parts").glob("*/checkpoint-*"))
        while not set((tmp_path / "parts").glob("*/checkpoint-*")) - before:
            assert victim.poll() is None, said_on_stderr()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(victim.pid, number)
        assert victim.wait(60) == code
        error = said_on_stderr()
        assert as_text in error
        assert "Traceback" not in error
        assert not json.loads((only("parts") / "run.json").read_text())["finished"]

    last = start("parts")
    assert last.wait(120) == 0, said_on_stderr()
    assert json.loads((only("parts") / "env.json").read_text())["resumed"]
    chex.assert_trees_all_equal(*(load_file(only(runs) / "params.safetensors") for runs in ("whole", "parts")))


def test_chunks_after_the_second_compile_nothing(tmp_path):
    compiled, counts = [], []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    train_stage(Trained.of(CONFIG, tmp_path), "pretrain", lambda progress: counts.append(len(compiled)))
    jax.monitoring.clear_event_listeners()
    assert len(counts) == 21
    assert counts[1] > counts[0]
    assert counts[2:] == [counts[2]] * 19
