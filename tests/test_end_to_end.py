"""The main job through the command line, once, in a small world; its numbers are held against exact Bayes."""

import functools
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow.parquet as pq
import pytest
from made_up import TINY, agree_with_the_table

import implicit_inference as ii
from implicit_inference import ScaleLabels, posterior_predictive, predicted_recovery
from implicit_inference.cli import main
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.measure.formulas import positions
from implicit_inference.measure.lookup import Table
from implicit_inference.runs.store import Run
from implicit_inference.show.plots import draw_all
from implicit_inference.training.batches import held_out, log_weights, prior
from implicit_inference.worlds import world_of

CONFIG = PRESETS["smoke"]
RANGES = ("early", "late", "all")


@functools.partial(jax.jit, static_argnums=1)
def reported(seed, family):
    """The prompts that a probe reports on."""
    return held_out(CONFIG, seed, "probe report", family, CONFIG.probe.prompts)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("work") / "runs"
    assert main(["run", "--preset", "smoke", "--runs", str(directory)]) == 0
    return directory


@pytest.fixture(scope="module")
def probe(runs):
    return Run(next(runs.glob("probe-*")))


@pytest.fixture(scope="module")
def summary(probe):
    return probe.read_json("result.json")["summary"]


def test_the_pretrained_network_is_close_to_exact_bayes(summary):
    for family in ("gaussian", "discrete"):
        loss = summary["loss"][family]
        excess = loss["pretrained"]["mean"] - loss["bayes_pretraining"]["mean"]
        assert -0.02 < excess < 0.1, (family, excess)


def test_exact_losses_in_the_table_are_those_of_bayes_on_the_same_prompts(summary):
    for family in ("gaussian", "discrete"):
        by_seed = []
        for seed in CONFIG.seeds:
            batch = reported(seed, family)
            tasks = prior(CONFIG, seed, log_weights(CONFIG.pretrain.discrete_prob))
            exact = jax.jit(posterior_predictive)(tasks, batch.prompts, jnp.asarray(CONFIG.tasks.noise_std)).mean
            errors = np.asarray(exact - batch.clean_labels, np.float64) ** 2
            by_seed.append(errors[:, positions("all", CONFIG.tasks.dim, CONFIG.prompts.length)].mean())
        loss = summary["loss"][family]["bayes_pretraining"]
        assert loss["mean"] == pytest.approx(np.mean(by_seed), rel=1e-4)
        assert loss["stderr"] == pytest.approx(np.std(by_seed, ddof=1) / np.sqrt(len(by_seed)), rel=1e-3)


def test_bayes_under_its_own_prior_is_the_best_on_average(summary):
    loss = summary["loss"]
    for exact, other in (("ridge", "discrete_posterior"), ("ridge", "bayes_pretraining"), ("ridge", "pretrained")):
        assert loss["gaussian"][exact]["mean"] < loss["gaussian"][other]["mean"]
        assert loss["discrete"]["discrete_posterior"]["mean"] < loss["discrete"][exact]["mean"]
    assert loss["gaussian"]["oracle"]["mean"] < 1e-9
    assert loss["discrete"]["bayes_finetuning"]["mean"] == pytest.approx(
        loss["discrete"]["discrete_posterior"]["mean"], rel=1e-5
    )


def test_fine_tuning_forgets_and_label_scaling_brings_back(summary):
    assert summary["gain"]["mean"] > 0.02
    for where in RANGES:
        assert summary["forgetting"][where]["mean"] > 0.1
    recovery, controls = summary["recovery"], summary["controls"]
    assert recovery["strength"] > 1
    assert 0.25 < recovery["mean"] < 1.2
    assert recovery["early"]["above_shrink_only"]["mean"] > 0.2
    early = {name: controls[name]["early"]["conjugated"]["mean"] for name in ("pretrained", "finetuned", "scratch")}
    assert early["pretrained"] < early["finetuned"] < early["scratch"] - 0.2
    assert (
        summary["effective_prior"]["finetuned"]["logit"]["mean"]
        > summary["effective_prior"]["pretrained"]["logit"]["mean"]
    )


def test_the_recovery_follows_from_the_effective_priors_alone(probe):
    """The table's ideal learners, by losses to the truth, against the library's formula on the same prompts."""
    records, scales = probe.read_table("table.parquet"), (1.5, 2.0)
    table, early = Table(records, CONFIG), positions("early", CONFIG.tasks.dim, CONFIG.prompts.length)

    @jax.jit
    def predict(seed, logits, shown):
        families, noise_std = world_of(CONFIG).families(seed).values(), jnp.asarray(CONFIG.tasks.noise_std)
        return predicted_recovery(logits, [ScaleLabels(g) for g in scales], *families, shown, noise_std, early)

    for s, seed in enumerate(CONFIG.seeds):
        logits = tuple(
            next(
                r["mean"] for r in records if (r["quantity"], r["predictor"], r["seed"]) == ("prior_logit", name, seed)
            )
            for name in ("pretrained", "finetuned")
        )
        shown = reported(seed, "gaussian").prompts
        predicted = predict(seed, logits, shown)

        def loss(name, scale, s=s):
            case = table.on_dial(scale)
            return table.averaged(table.curve(f"bayes_effective_{name}", case=case), "early")[s]

        after, before = loss("finetuned", 1), loss("pretrained", 1)
        tabulated = [(after - loss("finetuned", g)) / (after - before) for g in scales]
        np.testing.assert_allclose(predicted, tabulated, atol=0.15)


def test_gates_of_ideal_learners_follow_the_evidence_and_fine_tuning_opens_the_network_s(summary):
    bins = summary["gate"]["bins"]
    assert len(bins) >= 4
    exact = [entry["bayes_pretraining"]["mean"] for entry in bins]
    assert exact == sorted(exact)
    for entry in bins:
        assert entry["finetuned"]["mean"] > entry["pretrained"]["mean"]
        assert entry["bayes_effective_finetuned"]["mean"] >= entry["bayes_pretraining"]["mean"]
        assert entry["scratch"]["mean"] > 0.7
    share = summary["attribution"]["early"]["share"]["mean"]
    assert share is None or 0.5 < share < 1.5


def test_the_summary_has_its_promised_shape(summary):
    promised = {"pretrained", "finetuned", "scratch", "bayes_pretraining", "bayes_finetuning", "ridge", "oracle"}
    for family in ("discrete", "gaussian"):
        assert promised | {"discrete_posterior"} <= set(summary["loss"][family])
        for loss in summary["loss"][family].values():
            assert {"mean", "stderr"} <= set(loss)
    assert set(summary["recovery"]["by_strength"]) == {f"{g:g}" for g in CONFIG.probe.label_scales}
    assert len(summary["recovery"]["by_position"]) == CONFIG.prompts.length
    assert {"pretrained", "scratch", "shrink_only"} <= set(summary["controls"])
    for entry in (
        summary["recovery"],
        *summary["recovery"]["by_strength"].values(),
        summary["controls"]["shrink_only"],
    ):
        assert {"mean", "stderr"} <= set(entry)


def test_the_table_is_tidy_and_complete(probe):
    table = pq.read_table(probe.path("table.parquet"))
    names = {"seed", "quantity", "split", "family", "predictor", "conjugation", "strength", "position", "bin", "n"}
    assert set(table.column_names) == names | {"range", "mean", "stderr"}
    records = [r for r in table.to_pylist() if r["quantity"] == "loss" and r["bin"] is None]
    cells = {tuple(r[k] for k in sorted(names - {"n"})) for r in records}
    assert len(cells) == len(records)
    cases = 1 + len(CONFIG.probe.label_scales) + len(CONFIG.probe.input_scales) + len(CONFIG.probe.label_shifts) + 2
    chosen = [r for r in records if r["split"] == "report" and r["predictor"] == "ridge"]
    assert len(chosen) == cases * 2 * CONFIG.prompts.length * len(CONFIG.seeds)
    assert all(np.isfinite(r["mean"]) and r["stderr"] >= 0 for r in records)


def test_ridge_does_not_notice_label_scaling_and_the_discrete_posterior_does(probe):
    records = [r for r in probe.read_table("table.parquet") if r["bin"] is None and r["split"] == "report"]

    def loss(predictor, conjugation, strength):
        key = ("gaussian", predictor, conjugation, strength)
        return np.array(
            [r["mean"] for r in records if (r["family"], r["predictor"], r["conjugation"], r["strength"]) == key]
        )

    np.testing.assert_allclose(loss("ridge", "label_scale", 3.0), loss("ridge", "identity", None), rtol=1e-4)
    conjugated, still = loss("discrete_posterior", "label_scale", 3.0), loss("discrete_posterior", "identity", None)
    assert np.abs(conjugated - still).max() > 0.05


@pytest.mark.parametrize(
    "name", ["finetuned", "damaged_rise", "uninformed", "bayes_pretraining", "bayes_effective_finetuned"]
)
def test_its_predictors_answer_in_python_as_they_did_in_the_table(name, probe, runs):
    agree_with_the_table(ii.load(probe.id, runs), name)


def test_figures_redraw_byte_equal_from_the_tables_alone(probe, runs):
    before = {path.name: path.read_bytes() for path in probe.path("figures").glob("*.svg")}
    assert len(before) == 7
    hidden = [(path, path.rename(path.with_suffix(".hidden"))) for path in runs.glob("*/params.safetensors")]
    try:
        paths = draw_all(probe)
    finally:
        for path, conjugated in hidden:
            conjugated.rename(path)
    assert {path.suffix for path in paths} == {".png", ".svg"}
    assert {path.name: path.read_bytes() for path in probe.path("figures").glob("*.svg")} == before


def test_the_report_stands_alone(probe):
    page = probe.path("report.html").read_text()
    assert page.count("<svg") == 7
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "α (pretrain.discrete_prob)</td><td>0.5" in page
    for stage in (*probe.info()["parents"], probe.id):
        assert f"<td>{stage}</td>" in page


def test_a_second_call_does_nothing_anew(runs, probe, capsys, monkeypatch):
    for drawn in ("figures", "report"):
        monkeypatch.setattr(ii.Probe, drawn, lambda self: None)
    before = {path: path.stat().st_mtime_ns for path in runs.glob("*/*.parquet")}
    assert main(["run", "--preset", "smoke", "--runs", str(runs)]) == 0
    assert {path: path.stat().st_mtime_ns for path in runs.glob("*/*.parquet")} == before
    assert capsys.readouterr().out.count("is there already") == 4


@pytest.mark.slow
def test_single_steps_reach_the_same_probe(runs, probe, capsys):
    pretrained, finetuned = (next(runs.glob(f"{stage}-*")).name for stage in ("pretrain", "finetune"))
    assert main(["probe", finetuned, "--runs", str(runs)]) == 0
    assert str(probe.path("result.json")) in capsys.readouterr().out
    assert main(["finetune", "--parent", pretrained, "--runs", str(runs), "--finetune.discrete-prob", "0.9"]) == 0
    other = next(path.name for path in runs.glob("finetune-*") if path.name != finetuned)
    assert main(["probe", other, "--runs", str(runs), "--probe.label-scales", "-1,2"]) == 0
    shorter = next(path for path in runs.glob("probe-*") if path != probe.directory)
    scratch = {path.name for path in runs.glob("scratch-*")} - {
        *probe.info()["parents"]
    }  # it shows what fine-tuning does
    assert Run(shorter).info()["parents"] == [pretrained, other, *scratch]
    assert "label_scales = [\n    -1.0,\n    2.0,\n]" in (shorter / "config.toml").read_text()
    assert main(["figures", probe.id, "--runs", str(runs)]) == 0
    assert main(["report", "--runs", str(runs)]) == 0
    assert "2 runs" in (runs / "report.html").read_text()
    assert main(["show", probe.id, "--runs", str(runs)]) == 0
    shown = capsys.readouterr().out
    assert "recovery.svg" in shown
    assert "report.html" in shown
    assert "n_discrete = 3" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["finetune", "--parent", "{pretrain}", "--tasks.dim", "3"], ["tasks.dim = 3", "fixed by", "finetune.*"]),
        (["finetune", "--parent", "{finetune}"], ["is not a pretrain run", "allowed: pretrain-"]),
        (["tune", "--parent", "{pretrain}", "--finetune.steps", "3"], ["finetune.steps = 3", "control.* and tune.*"]),
        (["steer", "--parent", "{pretrain}"], ["is not a tune run"]),
        (["probe", "{finetune}", "--finetune.steps", "3"], ["finetune.steps = 3", "fixed by", "probe.*"]),
        (["figures", "{pretrain}"], ["is not a probe run", "allowed: probe-"]),
    ],
)
def test_wrong_parents_are_refused(runs, arguments, words, capsys):
    ids = {stage: min(runs.glob(f"{stage}-*")).name for stage in ("pretrain", "finetune")}
    assert main([a.format(**ids) for a in arguments] + ["--runs", str(runs)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    for word in words:
        assert word in message


def test_a_damaged_parent_is_named_and_nothing_is_lost(runs, capsys):
    parent = Run(next(runs.glob("pretrain-*")))
    content = parent.path("params.safetensors").read_bytes()
    before = {path for path in runs.rglob("*") if path.is_file()}
    try:
        parent.path("params.safetensors").write_bytes(content[: len(content) // 2])
        code = main(["finetune", "--parent", parent.id, "--runs", str(runs), "--finetune.steps", "30"])
    finally:
        parent.path("params.safetensors").write_bytes(content)
    assert code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "params.safetensors: is damaged" in message
    assert {path for path in runs.rglob("*") if path.is_file()} == before
    assert json.loads(parent.path("run.json").read_text())["finished"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["student", "steer"])
def test_a_probe_is_of_any_stage(stage, tmp_path):
    """From `run` with the stage as a field, and from `probe` with its id: one and the same."""
    tiny = {f"{name}.steps": 20 for name in ("student", "tune", "steer")} | {"probe.prompts": 64, "probe.stage": stage}
    config = override(TINY, tiny | {f"{name}.warmup": 2 for name in ("student", "tune", "steer")})
    found = ii.run(config, runs=tmp_path, progress=False)
    name = {"student": "student", "steer": "steered"}[stage]
    assert {"pretrained", name, "scratch"} <= set(found.summary["loss"]["gaussian"])
    assert found.report().stat().st_size > 10_000
    trained = next(tmp_path.glob(f"{stage}-*")).name
    flags = ["--probe.prompts", "64", "--probe.scratch-steps", str(config.probe.scratch_steps)]
    assert main(["probe", trained, "--runs", str(tmp_path), *flags]) == 0
    assert [path.name for path in tmp_path.glob("probe-*")] == [found.id]
