"""The smallest language run from end to end: instruction tuning in English, brought back by translation."""

import pytest

from implicit_inference.config.changes import PRESETS, override
from implicit_inference.measure.lookup import Table
from implicit_inference.measure.probe import probe
from implicit_inference.measure.summary import summary_of
from implicit_inference.show import plots, report
from implicit_inference.training.loop import Trained, train_stage

CONFIG = override(
    PRESETS["language-smoke"],
    {"model.width": 8, "pretrain.steps": 60, "pretrain.warmup": 5, "finetune.steps": 20, "finetune.warmup": 2}
    | {"probe.prompts": 64, "probe.scratch_steps": 40},
)


@pytest.mark.slow
def test_every_preset_of_languages_goes_through_all_stages_and_is_told(tmp_path):
    trained = Trained.of(CONFIG, tmp_path)
    for stage in ("pretrain", "scratch", "finetune"):
        train_stage(trained, stage, lambda progress: None)
    run = probe(trained, lambda done, of: None)
    summary = summary_of(run)
    assert set(summary["loss"]) == {"known", "fresh", "known_elsewhere", "fresh_elsewhere"}
    for family, exact in (("fresh", "fresh_tables"), ("known", "known_tables")):
        losses = {name: found["mean"] for name, found in summary["loss"][family].items()}
        others = [loss for name, loss in losses.items() if name != "oracle"]
        assert losses["oracle"] < losses[exact] < min(others) + 0.01, "64 documents leave an error of a hundredth"
    table = Table(run.read_table("table.parquet"), CONFIG)
    for family in summary["loss"]:
        for predictor in ("pretrained", "finetuned", "scratch"):
            accuracy, lost = (table.curve(predictor, family, quantity=of) for of in ("accuracy", "lost"))
            assert 0 <= accuracy.min() <= accuracy.max() <= 1
            assert 0 <= lost.min() <= lost.max() <= 1
    assert (table.curve("fresh_tables", quantity="lost") == 0).all()
    assert all(path.stat().st_size > 1000 for path in plots.draw_all(run))
    page = report.write_beside(report.content_of(run)).read_text()
    assert "translated into language 2" in page
    assert "ridge" not in page
