"""The summary of a table whose losses are made up, so that every number is known."""

import json

import numpy as np
import pytest

from implicit_inference.config import Config, override
from implicit_inference.probe import COLUMNS
from implicit_inference.report import estimate, findings
from implicit_inference.rows import position_rows
from implicit_inference.summary import Losses, summarise

CONFIG = override(
    Config(), {"seeds": [3, 5, 8], "tasks.dim": 2, "prompts.length": 6, "probe.label_scales": [0.5, 2.0, 3.0]}
)
PREDICTORS = [
    "pretrained",
    "finetuned",
    "scratch",
    "bayes_pretraining",
    "bayes_finetuning",
    "ridge",
    "discrete_posterior",
    "oracle",
    "bayes_effective_pretrained",
    "bayes_effective_finetuned",
]
LEVEL = {"pretrained": 1.0, "finetuned": 2.0, "scratch": 4.0}
SCALED = {0.5: 2.5, 2.0: 1.2, 3.0: 1.6}
ON_CHOICE = {0.5: 2.5, 2.0: 1.3, 3.0: 1.2}


def table(forgetting=1.0):
    """Losses that are constant over prompts and positions, and differ between seeds by an offset they all share."""
    rows = []

    def add(level, split, family, predictor, conjugation="identity", strength=None):
        offsets = np.array([-0.1, 0.0, 0.1]).reshape(3, 1, 1)
        errors = np.broadcast_to(level + offsets, (3, 4, 6))
        labels = {"quantity": "squared_error", "split": split, "prompts": family, "predictor": predictor}
        labels |= {"conjugation": conjugation, "strength": strength}
        rows.extend(COLUMNS | row for row in position_rows(errors, CONFIG.seeds, **labels))

    for family in ("gaussian", "discrete"):
        for name in PREDICTORS:
            level = LEVEL.get(name, 0.9)
            if name == "finetuned":
                level = 1.0 + forgetting if family == "gaussian" else 0.4
            if name == "bayes_effective_finetuned":
                level = 1.9
            add(level, "report", family, name)
            for scale in CONFIG.probe.label_scales:
                moved = {"finetuned": SCALED[scale], "bayes_effective_finetuned": 1.4}.get(name, level)
                add(moved, "report", family, name, "label_scale", scale)
                add(ON_CHOICE[scale], "choice", family, name, "label_scale", scale)
        for name in LEVEL:
            add(1.75, "report", family, name, "shrink_only")
            add(2.0, "choice", family, name)
    rows += [
        COLUMNS | {"seed": seed, "quantity": quantity, "predictor": name, "mean": value}
        for seed in CONFIG.seeds
        for name in ("pretrained", "finetuned")
        for quantity, value in (("prior_logit", 1.5), ("prior_residual", 0.1))
    ]
    return rows


def test_every_number_is_the_one_put_in():
    summary = summarise(table(), CONFIG)
    assert summary["positions"] == {"all": "1..5 exemplars", "early": "1..2 exemplars", "late": "3..5 exemplars"}
    loss = summary["loss"]["gaussian"]["finetuned"]
    assert loss["mean"] == pytest.approx(2.0)
    assert loss["stderr"] == pytest.approx(0.1 / np.sqrt(3))
    assert summary["forgetting"]["mean"] == pytest.approx(1.0)
    assert summary["forgetting"]["stderr"] == pytest.approx(0.0, abs=1e-12)
    assert summary["gain"]["late"]["mean"] == pytest.approx(0.6)
    recovery = summary["recovery"]
    assert recovery["strength"] == 3.0, "chosen on the choice prompts, where 3 is best, not on the reported ones"
    assert recovery["mean"] == pytest.approx(0.4)
    assert recovery["early"]["above_shrink_only"]["mean"] == pytest.approx(0.15)
    assert recovery["early"]["net_of_pretrained"]["mean"] == pytest.approx(1 - (1.6 - 1.0) / 1.0)
    assert recovery["late"]["inference_shift"]["mean"] == pytest.approx(1.9 - 0.9)
    assert recovery["by_strength"]["2"]["mean"] == pytest.approx(0.8)
    assert recovery["by_strength"]["2"]["predicted"]["late"]["mean"] == pytest.approx(0.5)
    assert recovery["by_position"][4]["mean"] == pytest.approx(0.4)
    assert summary["controls"]["shrink_only"]["mean"] == pytest.approx(0.25)
    assert summary["controls"]["scratch"]["early"]["change"]["mean"] == pytest.approx(0.0)
    assert summary["controls"]["scratch"]["late"]["best"] == {
        "strength": 3.0,
        "mean": 4.0,
        "stderr": pytest.approx(0.1 / np.sqrt(3)),
    }
    assert summary["excess"]["gaussian"]["pretrained"]["mean"] == pytest.approx(0.1)
    assert summary["effective_prior"]["finetuned"]["logit"] == {"mean": 1.5, "stderr": 0.0}
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_recovery_is_said_to_be_undefined_without_forgetting():
    summary = summarise(table(forgetting=-0.2), CONFIG)
    recovery = summary["recovery"]
    assert recovery["mean"] is None
    assert "not significantly positive" in recovery["undefined"]
    assert estimate(recovery) == "undefined"
    assert recovery["early"]["above_shrink_only"]["mean"] is None
    assert any("undefined" in line for line in findings(summary))


def test_one_seed_has_no_standard_error_and_stays_json():
    config = override(CONFIG, {"seeds": [5]})
    summary = summarise([row for row in table() if row["seed"] == 5], config)
    assert summary["forgetting"]["stderr"] is None
    assert summary["recovery"]["mean"] is None
    json.dumps(summary, allow_nan=False)


def test_losses_are_looked_up_by_seed_and_position():
    losses = Losses(table(), CONFIG)
    assert losses("pretrained").shape == (3, 6)
    np.testing.assert_allclose(losses("pretrained")[:, 0], [0.9, 1.0, 1.1])
    assert losses.strengths("label_scale") == [0.5, 2.0, 3.0]
    assert losses.predictors() == PREDICTORS
