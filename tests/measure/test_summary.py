"""The summary of a table whose losses are made up, so that every number is known."""

import json

import numpy as np
import pytest
from made_up import CONFIG, MOVED, PREDICTORS, table

from implicit_inference.config.changes import override
from implicit_inference.measure.lookup import Table
from implicit_inference.measure.summary import summarise
from implicit_inference.show.notation import estimate
from implicit_inference.show.report import findings


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
    assert estimate(summary["effective_prior"]["finetuned"]["logit"]) == "1.50 (1.50 to 1.50)"
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_where_the_capability_went_is_what_was_put_in():
    summary = summarise(table(), CONFIG)
    for where in ("early", "late", "all"):
        scratch = summary["attribution"][where].pop("scratch")
        parts = {name: part["mean"] for name, part in summary["attribution"][where].items()}
        assert parts == pytest.approx(
            {"forgetting": 1.0, "on_line": 0.75, "off_line": 0.25, "share": 0.75, "odds": 0.6, "weight": 0.4}
        )
        assert scratch["share"]["mean"] == pytest.approx(0.8)
    assert summary["attribution"]["early"]["share"]["stderr"] == pytest.approx(0, abs=1e-9)
    gate = summary["gate"]
    assert [entry["bin"] for entry in gate["bins"]] == list(range(9)), "the last bin is there in one seed alone"
    assert gate["strength"] == 3.0
    found = {name: entry["mean"] for name, entry in gate["bins"][4].items() if isinstance(entry, dict)}
    expected = {"pretrained": 0.3, "finetuned": 0.6, "moved": 0.4, "scratch": 0.9, "bayes_pretraining": 0.25}
    assert found == pytest.approx(expected | {"bayes_effective_finetuned": 0.5})
    assert gate["bins"][4]["n"] == 21


def test_accounts_say_what_was_put_in():
    summary = summarise(table(), CONFIG)
    for where in ("early", "late", "all"):
        found = summary["accounts"][where]
        assert {name: fit["forgetting"]["mean"] for name, fit in found.items()} == pytest.approx(
            {"constant_pull": 0.8, "prior_shift": 1.2, "prior_and_weight": 1.0, "lapse": 0.9}
        )
        assert found["prior_shift"]["share"]["mean"] == pytest.approx(1.2)
        assert found["constant_pull"]["r2"]["mean"] == pytest.approx(1 - 0.3 / 0.5)
        weight = found["prior_and_weight"]["numbers"]["weight"]
        assert (weight["before"]["mean"], weight["after"]["mean"]) == pytest.approx((0.8, 0.2))
        by_strength = {entry["strength"]: entry for entry in summary["conjugations"][where]}
        assert by_strength[2.0]["predicted"]["prior_shift"]["mean"] == pytest.approx(0.5)
        assert by_strength[2.0]["predicted"]["constant_pull"]["mean"] == pytest.approx(0.25)
        assert by_strength[2.0]["gate_closed"]["mean"] == pytest.approx(0.5)
        assert by_strength[2.0]["net"]["mean"] == pytest.approx(0.8)
        assert by_strength[2.0]["controls"]["scratch"]["mean"] == pytest.approx(0.0)
        assert {entry["strength"]: entry["moved_odds"]["mean"] for entry in by_strength.values()} == MOVED


def test_calibration_is_the_line_through_measured_against_predicted_net_recovery():
    found = summarise(table(), CONFIG)["calibration"]["early"]
    measured = np.array([-0.5, 0.8, 0.4])  # at 0.5, 2, 3
    for name, predicted in (
        ("prior_shift", np.array([0.25, 0.5, 0.75])),
        ("constant_pull", np.array([0.125, 0.25, 0.375])),
    ):
        slope, _ = np.polyfit(predicted, measured, 1)
        assert found[name]["slope"]["mean"] == pytest.approx(slope)
        assert found[name]["r2"]["mean"] == pytest.approx(np.corrcoef(predicted, measured)[0, 1] ** 2)


def test_recovery_is_said_to_be_undefined_without_forgetting():
    summary = summarise(table(forgetting=-0.2), CONFIG)
    recovery = summary["recovery"]
    assert recovery["mean"] is None
    assert "not significantly positive" in recovery["undefined"]
    assert estimate(recovery) == "undefined"
    assert recovery["early"]["above_shrink_only"]["mean"] is None
    assert any("undefined" in line for line in findings(summary, CONFIG))


def test_prior_odds_without_a_limit_are_said_to_have_none():
    rows = table()
    for row in rows:
        if (row["predictor"], row["seed"]) == ("finetuned", 8):
            row["mean"] = {"prior_logit": 60.0, "prior_bound": 1}.get(row["quantity"], row["mean"])
    summary = summarise(rows, CONFIG)
    assert summary["effective_prior"]["finetuned"]["logit"]["median"] == 1.5
    as_text = "1.50 (1.50 to 60.00; no limit in 1 of 3 seeds)"
    assert estimate(summary["effective_prior"]["finetuned"]["logit"]) == as_text


def test_one_seed_has_no_standard_error_and_stays_json():
    config = override(CONFIG, {"seeds": [5]})
    summary = summarise([record for record in table() if record["seed"] == 5], config)
    assert summary["forgetting"]["stderr"] is None
    assert summary["recovery"]["mean"] is None
    json.dumps(summary, allow_nan=False)


def test_losses_are_looked_up_by_seed_and_position():
    found = Table(table(), CONFIG)
    assert found.curve("pretrained").shape == (3, 6)
    np.testing.assert_allclose(found.curve("pretrained")[:, 0], [0.9, 1.0, 1.1])
    assert found.strengths() == [0.5, 1.0, 2.0, 3.0]
    assert found.predictors() == PREDICTORS
    np.testing.assert_allclose(found.values(quantity="prior_logit", predictor="finetuned"), 1.5)
    with pytest.raises(KeyError, match="match 6 rows of 3 seeds"):
        found.values(quantity="prior_logit")
    with pytest.raises(ValueError, match="duplicate"):
        Table([*table(), table()[0]], CONFIG).curve("pretrained")
