"""Every experiment and its figures from end to end, on the networks of one tiny configuration."""

import dataclasses
import json
import sys

import jax
import numpy as np
import pandas as pd
import pytest
from made_up import TINY
from scripts import DRAWN, EXPERIMENTS, FIGURES, NAMES, load

from implicit_inference.config.changes import override, value_of
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.runs.runtime import pinned
from implicit_inference.study import experiment as study
from implicit_inference.study.claims import NOT_ASKED, SUPPORTED
from implicit_inference.study.gallery import draw_all, page
from implicit_inference.study.headline import headline
from implicit_inference.study.measurements import RANGES, RECOVERIES, distances
from implicit_inference.study.results import Results, read_csv
from implicit_inference.training.loop import Trained, train_stage
from implicit_inference.worlds import described

STAGE = {"steps": 4, "warmup": 1, "batch": 8, "optimizer": "adam", "target": "label", "learning_rate": 1e-2}
BASE = override(
    TINY,
    {
        **dict.fromkeys(("pretrain", "finetune", "student", "tune", "steer"), STAGE),
        "probe.scratch_steps": 4,
        "probe.prompts": 40,
        "finetune.keep_every": 1,
        "lesson.prompts": 16,
        "control.grades": (0.0, 0.5, 1.0),
    },
)
COSTLY = ("closeness", "control", "erasure", "lessons", "other_conjugations", "primary", "teachers")
"""Those that compile the most: stages of their own, groups of conjugations"""
LANGUAGE = [name for name in NAMES if 'world="language"' in (EXPERIMENTS / f"{name}.py").read_text()]
REGRESSION = [name for name in NAMES if name not in LANGUAGE]
PARAMETERS = [pytest.param(name, marks=pytest.mark.slow if name in COSTLY else ()) for name in REGRESSION]

SHOWN_AS = ("identity", "choice", "shrink_only")
COLUMNS = {"seed", "quantity", "family", "predictor", "conjugation", "strength", "position", "range", "step", "bin"}
COLUMNS |= {"n", "mean", "stderr", "seeds"}
MORE = {
    "closeness": {"angle"},
    "control": {"grade"},
    "finetuning_prompts": {"shown"},
    "lessons": {"quantile"},
    "other_conjugations": {"way"},
    "primary": {"claim"},
    "splicing": {"way", "block"},
    "spread": {"worlds"},
    "teachers": {"worlds"},
    "weight_path": {"prior", "t"},
    "single_distribution": {"noise_variance"},
    "tradeoff": {"prior"},
}
"""experiment -> columns of its own, beside those of every table"""


@dataclasses.dataclass
class As:
    """The networks of one configuration, taken for those of another."""

    trained: Trained
    config: object

    def __getattr__(self, name):
        return getattr(self.trained, name)


@dataclasses.dataclass
class Networks:
    """The trained stages of a configuration with other predictors in the place of their networks."""

    trained: Trained
    networks: dict

    def __getattr__(self, name):
        return getattr(self.trained, name)

    def network(self, stage):
        return self.networks[stage]


@pytest.fixture(scope="module")
def one_world(tmp_path_factory):
    """(folder, its trained networks, measured tables by function and configuration, findings by experiment)"""
    folder = tmp_path_factory.mktemp("study")
    return folder, Trained.of(BASE, folder / "runs"), {}, {}


@pytest.fixture
def run(one_world, monkeypatch):
    """Runs an experiment: (findings, table); every variant has the networks of the base, and so its numbers."""
    folder, trained, measured, done = one_world

    def measure_all(base, variants, stages, measure, runs, report):
        """Measures the base once, unless the family that is measured differs between variants."""
        for stage in stages:
            train_stage(trained, stage, lambda progress: None)
        paths = dict.fromkeys(path for variant in variants for path in variant)
        records = []
        for variant in variants:
            varied = {path: variant.get(path, value_of(base, path)) for path in paths}
            varied = {path: tuple(value) if isinstance(value, list) else value for path, value in varied.items()}
            pure = varied.get("pretrain.discrete_prob") in (0.0, 1.0)
            config = override(base, variant) if pure else base
            if (measure, config) not in measured:
                with pinned():
                    measured[measure, config] = measure(As(trained, config))
            once = not records  # rows with labels of the varied fields are of no variant
            records += [
                varied | record for record in measured[measure, config] if once or not varied.keys() & record.keys()
            ]
        return records

    def of(name):
        data = folder / "data" / "smoke"
        if name not in done:
            script = load(EXPERIMENTS, name)
            scale = dataclasses.replace(BASE, seeds=(*BASE.seeds, 99))  # an experiment may have seeds of its own
            monkeypatch.setitem(sys.modules["experiment"].SCALES, "smoke", scale)
            monkeypatch.setattr(study, "sweep", measure_all)
            done[name] = script.EXPERIMENT.run(BASE, "smoke", folder / "runs", data)
        return done[name], data / f"{name}.csv"

    return of


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_experiment_measures_judges_stores_and_is_drawn(name, run, one_world):
    findings, path = run(name)
    assert findings
    assert [finding["claim"] for finding in json.loads(path.with_suffix(".json").read_text())] == [
        finding.claim for finding in findings
    ]
    assert all("nan" not in finding.numbers for finding in findings)

    table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    assert {column for column in table if "." not in column} <= COLUMNS | MORE.get(name, set())
    labels = [column for column in table if column not in ("n", "mean", "stderr", "seeds")]
    assert not table.duplicated(labels).any(), "labels single out one row a seed"
    of_seeds = table.get("seeds", pd.Series(np.nan, table.index)).isna()
    assert set(table.loc[of_seeds, "seed"]) == set(BASE.seeds)
    if "conjugation" in table and name != "other_conjugations":
        assert set(table["conjugation"].dropna()) <= {
            "identity",
            "choice",
            "shrink_only",
            *described("regression").moves,
        }

    figures = {figure: (experiment, "shows it") for figure, experiment in DRAWN.items() if experiment == name}
    assert figures
    drawn = draw_all(figures, lambda figure: load(FIGURES, figure).draw, one_world[0], "smoke")
    assert drawn == [*figures]
    for figure in figures:
        assert (one_world[0] / "smoke" / f"{figure}.png").stat().st_size > 10_000
    text = page(figures, drawn, path.parent, "smoke/", "The introduction.", {name: "It is so."}, {})
    assert text.count("It is so.") == 1
    held = [finding.verdict for finding in findings if finding.verdict != NOT_ASKED]
    assert (f"Held: {held.count(SUPPORTED)} of {len(held)} claim" in text) == bool(held)
    assert f"python experiments/{name}.py --scale smoke" in text
    assert all(text.count(finding.claim) >= 1 for finding in findings)


@pytest.mark.slow
def test_the_fifths_of_closeness_are_in_the_order_of_the_log_odds(run):
    table = read_csv(run("closeness")[1]).reduced().where(tasks__n_discrete=BASE.tasks.n_discrete)
    for k in table.levels("position"):
        assert np.all(np.diff(table.where(quantity="log_odds", position=k).column("mean")) > 0)


def spoiled(exact, prompts):
    """Answers that labels spoil the more, the larger they are: scaling them up makes everything worse."""
    return exact(prompts) + 0.3 * prompts.ys**2


def test_the_identity_is_chosen_where_every_strength_makes_things_worse_and_brings_nothing_back(one_world):
    trained, held_out = one_world[1], HeldOut(one_world[1])
    networks = {"pretrain": held_out.forgotten, "finetune": jax.tree_util.Partial(spoiled, held_out.forgotten)}
    table = Results(headline(Networks(trained, networks)))
    for where in RANGES:
        here = table.where(range=where)
        assert here.estimate(quantity="forgetting").mean > 0.01
        np.testing.assert_allclose(here.values(quantity="excess_gaussian"), 0)
        for quantity in RECOVERIES:
            (found,) = here.where(quantity=quantity).frame.to_dict("records")
            assert (found["conjugation"], found["strength"]) == ("label_scale", 1.0)
            np.testing.assert_allclose(found["mean"], 0, atol=1e-12)


def test_distances_are_those_to_the_exact_predictor_of_the_forgotten_family(one_world):
    held_out = HeldOut(one_world[1])
    prompts, distance = held_out.batch("gaussian").prompts, distances(held_out)
    np.testing.assert_array_equal(distance(held_out.forgotten), 0)
    found = distance(jax.tree_util.Partial(spoiled, held_out.forgotten))
    np.testing.assert_allclose(found, np.mean(0.09 * np.asarray(prompts.ys) ** 4, axis=1), rtol=1e-3)


def test_an_experiment_runs_from_its_command_line(one_world, capsys, monkeypatch):
    folder, trained, *_ = one_world
    prompts = load(EXPERIMENTS, "finetuning_prompts").EXPERIMENT
    script = sys.modules["experiment"]
    monkeypatch.setitem(script.SCALES, "smoke", BASE)
    small = dataclasses.replace(prompts, seeds=0, variants={"smoke": [{"finetune.batch": BASE.finetune.batch}]})
    arguments = ["--scale", "smoke", "--runs", str(folder / "runs"), "--data", str(folder / "by hand")]
    assert script.main(small, arguments) == 0
    out = capsys.readouterr().out
    assert "not asked: batches of 8, 4 steps" in out
    assert "±" in out
    table = read_csv(folder / "by hand" / "smoke" / "finetuning_prompts.csv").reduced()
    assert set(table.column("seeds")) == {2}
    rise = table.where(family="gaussian")
    records = trained.run_of("finetune").read_table("training.parquet")
    of = [r for r in records if r["family"] == "gaussian" and r["predictor"] == "network"]
    for step in rise.levels("step"):
        found = {s: np.mean([r["mean"] for r in of if r["step"] == s]) for s in (0, step)}
        np.testing.assert_allclose(rise.where(step=step).column("mean"), found[step] - found[0], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", LANGUAGE)
def test_an_experiment_of_languages_trains_measures_and_is_drawn(name, tmp_path):
    script = load(EXPERIMENTS, name)
    stage = {"steps": 4, "warmup": 1, "batch": 8}
    tiny = {"seeds": [0, 1], "model.width": 8, "model.layers": 1, "probe.prompts": 40, "probe.scratch_steps": 4}
    tiny |= dict.fromkeys(("pretrain", "finetune", "student", "tune", "steer"), stage) | {"lesson.prompts": 16}
    base = override(sys.modules["experiment"].LANGUAGES["smoke"], tiny)
    findings = script.EXPERIMENT.run(base, "smoke", tmp_path / "runs", tmp_path / "data" / "smoke")
    assert findings
    figures = {figure: (experiment, "shows it") for figure, experiment in DRAWN.items() if experiment == name}
    assert figures
    assert draw_all(figures, lambda figure: load(FIGURES, figure).draw, tmp_path, "smoke") == [*figures]
