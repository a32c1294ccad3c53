"""Differences, their two standard errors and the verdicts, against numbers made by hand."""

import numpy as np
import pandas as pd
import pytest
from scripts import FIGURES, load

from implicit_inference.lm import page
from implicit_inference.lm.results import results, told
from implicit_inference.lm.store import LmRun

KINDS = ("identity", "leet", "upper")


def table(margins, families=("pair",), conflict=True, rates=None):
    """Rows from {(predictor, seed, strength): margins [kind, item]}; the greedy flags of A are `rates` [kind]."""
    rows = []
    for family in families:
        for (predictor, seed, strength), values in margins.items():
            for kind, row in zip(KINDS, values, strict=True):
                for item, margin in enumerate(row):
                    labels = {"predictor": predictor, "seed": seed, "strength": strength, "family": family}
                    labels |= {"conjugation": kind, "draw": 0, "item": item, "conflict": conflict, "margin": margin}
                    greedy = {"greedy_context": item < (rates or {}).get(kind, 1), "greedy_instruction": False}
                    rows.append(labels | greedy)
    return pd.DataFrame(rows)


def made(shift=5.0, items=40, seeds=3, noise=0.5):
    """English loses `shift`, leet nothing, upper all but a third of it; items and seeds differ a little."""
    rng = np.random.default_rng(0)
    base = rng.normal(3, 2, (3, items))
    margins = {("base", -1, 0.0): base}
    for seed in range(seeds):
        moved = base + rng.normal(0, noise, base.shape) + np.array([[-shift], [0.0], [-2 * shift / 3]])
        margins["tuned", seed, 1.0] = moved
        margins["tuned", seed, 0.5] = (base + moved) / 2
        margins["neutral", seed, 1.0] = base + rng.normal(0, noise, base.shape)
    return margins


def rows_of(found, **labels):
    return found[np.logical_and.reduce([found[name] == value for name, value in labels.items()])]


def test_differences_are_paired_over_items_and_over_seeds():
    margins = made()
    found = results(table(margins))
    base = margins["base", -1, 0.0]
    after = np.array([margins["tuned", seed, 1.0] for seed in range(3)])
    change = after - base
    did = change[:, 1] - change[:, 0]
    for quantity, kind, values in (
        ("margin", "leet", after[:, 1]),
        ("change", "identity", change[:, 0]),
        ("did", "leet", did),
        ("did", "upper", change[:, 2] - change[:, 0]),
    ):
        (row,) = rows_of(found, quantity=quantity, predictor="tuned", strength=1.0, conjugation=kind).to_dict("records")
        assert row["mean"] == pytest.approx(values.mean())
        assert row["stderr"] == pytest.approx(values.mean(axis=0).std(ddof=1) / np.sqrt(40))
        assert row["stderr_seeds"] == pytest.approx(values.mean(axis=1).std(ddof=1) / np.sqrt(3))
        assert (row["n"], row["seeds"]) == (40, 3)
    half = rows_of(found, quantity="did", strength=0.5, conjugation="leet")["mean"].item()
    assert half == pytest.approx(did.mean() / 2)
    assert not len(rows_of(found, quantity="did", conjugation="identity"))
    assert not len(rows_of(found, quantity="change", predictor="base"))


def test_what_all_share_is_no_part_of_a_did():
    """Neither the base's margins nor what tuning does everywhere; so a paired error is far below an unpaired one."""
    margins = made(noise=0.0)
    moved = {key: value + (0.0 if key[0] == "base" else 7.0) for key, value in margins.items()}
    for of in (margins, moved):
        row = rows_of(results(table(of)), quantity="did", predictor="tuned", strength=1.0, conjugation="leet")
        assert row["mean"].item() == pytest.approx(5.0)
        assert row["stderr"].item() == pytest.approx(0.0, abs=1e-12)


def test_verdicts_are_of_the_largest_dose_in_pairs_with_a_conflict():
    margins = made()
    found = results(table(margins))
    judged = found[found["verdict_items"].notna()]
    assert set(zip(judged["quantity"], judged["predictor"], judged["strength"], strict=True)) == {("did", "tuned", 1.0)}
    assert list(judged["verdict_items"]) == ["supported", "supported"]
    assert list(judged["verdict_seeds"]) == ["supported", "supported"]
    assert results(table(made(shift=0.0)))["verdict_items"].dropna().tolist() == ["undecided", "undecided"]
    assert results(table(margins, conflict=False))["verdict_items"].isna().all()
    single = results(table({key: value for key, value in margins.items() if key[1] < 1}))
    assert set(single["verdict_seeds"].dropna()) == {"not asked"}
    assert set(single["verdict_items"].dropna()) == {"supported"}


def test_verdicts_are_corrected_for_all_pairs_together():
    """The p-value .012 of one DiD passes among two (Holm: .025, .05) and fails among forty."""
    margins = made(noise=0.0)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, 40)
    noise = (noise - noise.mean()) / noise.std(ddof=1) * np.sqrt(40)
    after = margins["base", -1, 0.0] + np.array([np.zeros(40), 2.35 + noise, np.zeros(40)])
    margins = {("base", -1, 0.0): margins["base", -1, 0.0], ("tuned", -1, 1.0): after}
    for pairs, verdict in ((1, "supported"), (20, "undecided")):
        found = results(table(margins, families=[f"pair {i}" for i in range(pairs)]))
        assert set(rows_of(found, quantity="did", conjugation="leet")["verdict_items"]) == {verdict}


def test_rates_at_floor_or_ceiling_are_marked():
    found = results(table(made(), rates={"identity": 2, "leet": 38, "upper": 20}))
    rates = rows_of(found, quantity="greedy_context", predictor="base")
    assert list(rates["mark"]) == ["floor", "ceiling", ""]
    assert list(rates["mean"]) == [0.05, 0.95, 0.5]
    assert set(rows_of(found, quantity="greedy_instruction")["mark"]) == {"floor"}


def test_lines_page_and_figure_say_the_numbers(tmp_path):
    found = results(table(made(), families=("sums", "blanks")))
    lines = told(found)
    did = rows_of(found, quantity="did", predictor="tuned", strength=1.0, conjugation="leet")["mean"].iloc[0]
    assert f"DiD, leet: {did:+.2f}" in lines
    assert "begins with A, in English: 0.03, at its floor, before" in lines
    assert lines.count("supported over items, supported over seeds") == 4
    run = LmRun(tmp_path, {"base": "abc"})
    page.write(found, "A title", run)
    text = run.path(page.PAGE).read_text()
    for word in (
        "A title",
        "sums",
        "blanks",
        f"{did:+.2f}",
        "floor",
        "after a neutral tuning",
        "data:image/png",
        "abc",
    ):
        assert word in text
    figure = page.draw(found, "A title")
    assert len(figure.axes) == 4
    drawn = np.asarray(figure.axes[2].containers[0][0].get_ydata(), float)
    own = rows_of(found, quantity="did", predictor="tuned", family="sums", conjugation="leet")
    np.testing.assert_allclose(drawn, own.sort_values("strength")["mean"].to_numpy(float))
    weak = found[~((found["predictor"] == "tuned") & (found["strength"] == 1.0))]
    assert len(page.draw(weak, "").axes[0].containers) == 3  # before, after at the largest dose there is, neutral
    alone = found[(found["family"] == "sums") & (found["strength"] != 0.5) & (found["predictor"] != "neutral")]
    assert len(page.draw(alone, "").axes) == 1


def test_the_stored_tables_draw_the_stored_figures():
    script = load(FIGURES, "language_model")
    for name in script.TITLES:
        found = pd.read_csv(FIGURES / "data" / "lm" / f"{name}.csv", keep_default_na=False, na_values=[""])
        assert set(found["predictor"]) >= {"base", "tuned"}
        titles = [axes.get_title() for axes in page.draw(found, "").axes]
        assert [title for title in titles if title] == list(found["family"].unique())
        assert (FIGURES / "lm" / f"{name}.png").exists()
