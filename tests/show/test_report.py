"""The page about probes, opened in a browser where one is installed."""

import json
import math
import re
import shutil
import subprocess

import pytest
from made_up import CONFIG, probe_run, table

from implicit_inference.cli import main
from implicit_inference.config.changes import fields_of, override
from implicit_inference.config.errors import one_line
from implicit_inference.measure.probe import probe
from implicit_inference.measure.summary import summary_of
from implicit_inference.runs.drafts import NotFiniteError
from implicit_inference.runs.store import Run
from implicit_inference.show import overview
from implicit_inference.show.report import CAPTIONS
from implicit_inference.training.loop import Trained

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two finished probes, and one that has only begun."""
    directory = tmp_path_factory.mktemp("work") / "runs"
    probe_run(directory)
    probe_run(directory, override(CONFIG, {"finetune.steps": 100}))
    unfinished = probe_run(directory, override(CONFIG, {"finetune.steps": 50}))
    unfinished.path("run.json").write_text(json.dumps(unfinished.info() | {"finished": False}))
    return directory


@pytest.fixture(scope="module")
def page(runs):
    assert main(["report", "--runs", str(runs)]) == 0
    return runs / "report.html"


def ids(runs, finished=True):
    found = sorted(path.parent for path in runs.glob("probe-*/run.json"))
    return [path.name for path in found if Run(path).finished == finished]


def test_one_page_stands_alone_and_shows_every_finished_probe(runs, page):
    text = page.read_text()
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert "http" not in re.sub(r'xmlns(?::xlink)?="http://www.w3.org/[^"]*"', "", text)
    assert text.count("<svg") == 2 * len(CAPTIONS) + 1
    assert ids(runs, finished=False)[0] not in text
    for id in ids(runs):
        assert id in text
    assert len(re.findall(r"<td>finetune.steps</td><td>(?:100|400)</td><td>(?:100|400)</td>", text)) == 1
    assert f"{len(fields_of('regression')) - 1} fields that all runs share" in text
    assert text.count('<p class="answer">') == 2 * 3, "three sentences a run"
    for stage in runs.glob("*-*"):
        assert (f"<td>{stage.name}</td>" in text) == (stage.name not in ids(runs, finished=False) and used(stage, runs))


def used(stage, runs):
    """Whether a finished probe rests on this stage, or is it."""
    return any(stage.name == id or stage.name in (runs / id / "run.json").read_text() for id in ids(runs))


def test_long_names_leave_place_for_the_panels(runs):
    summaries = [summary_of(Run(runs / id)) for id in ids(runs)]
    picture = overview.comparison([f"{letter}: {'a field = 1, ' * 40}" for letter in "AB"], summaries).decode()
    assert {">A<", ">B<"} <= set(re.findall(r">[AB]<", picture))
    assert "a field" not in picture


def test_one_probe_has_the_same_page_in_its_own_directory(runs, capsys):
    id = ids(runs)[0]
    assert main(["report", id, "--runs", str(runs)]) == 0
    path = runs / id / "report.html"
    assert capsys.readouterr().out == f"{path}\n"
    text = path.read_text()
    assert text.count("<svg") == len(CAPTIONS)
    assert f"{len(fields_of('regression'))} fields" in text
    assert "12.2 s" in text, "the wall time of the stages before, too"


def test_the_place_of_the_page_can_be_given(runs, tmp_path):
    id = ids(runs)[1]
    assert main(["report", id, "--runs", str(runs), "--out", str(tmp_path / "a" / "page.html")]) == 0
    assert id in (tmp_path / "a" / "page.html").read_text()


def test_what_cannot_be_reported_is_one_line(runs, tmp_path, capsys):
    begun = ids(runs, finished=False)[0]
    probe_run(tmp_path / "old", summary={"loss": {}})
    for arguments, words in (
        (["report", "probe-0", "--runs", str(runs)], "no such probe run"),
        (["report", ids(runs)[0], begun, "--runs", str(runs)], f"{begun}: is unfinished"),
        (["report", "--runs", str(tmp_path / "empty")], "no finished probe run"),
        (["report", "--runs", str(tmp_path / "old")], "delete"),
    ):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert words in captured.err


def test_a_probe_that_measures_no_number_says_which_and_is_not_finished(tmp_path, monkeypatch):
    run = probe_run(tmp_path)
    shutil.rmtree(run.directory)
    records = [record | {"mean": math.nan} if record["predictor"] == "ridge" else record for record in table()]
    monkeypatch.setattr("implicit_inference.measure.probe.measure", lambda trained, report: records)
    with pytest.raises(NotFiniteError) as error:
        probe(Trained.of(CONFIG, tmp_path), lambda done, total: None)
    words = f"{run.id}: table.parquet would hold mean = nan (quantity loss, split report, family gaussian, "
    assert words in one_line(str(error.value)).replace("seed 3, ", "")
    assert "predictor ridge" in one_line(str(error.value))
    assert not run.finished
    monkeypatch.setattr("implicit_inference.measure.probe.measure", lambda trained, report: table())
    assert probe(Trained.of(CONFIG, tmp_path), lambda done, total: None).finished


def test_show_says_how_far_an_unfinished_run_is(runs, capsys):
    assert main(["show", ids(runs, finished=False)[0], "--runs", str(runs)]) == 0
    assert "unfinished; nothing of it is kept yet" in capsys.readouterr().out


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed, so the page is not opened in a browser")
def test_the_filter_and_the_sorting_work_in_a_browser_without_an_error(page, tmp_path):
    def opened(address):
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
        command = [BROWSER, *flags, f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=2000"]
        done = subprocess.run(
            [*command, "--dump-dom", f"file://{address}"], capture_output=True, text=True, check=True, timeout=120
        )
        assert "CONSOLE" not in done.stderr, done.stderr
        body = re.search(r"<tbody>(.*?)</tbody>", done.stdout[done.stdout.index('id="results"') :], re.DOTALL)[1]
        records = re.findall(r"<tr(.*?)>(.*?)</tr>", body, re.DOTALL)
        shown = [
            re.findall(r"<td[^>]*>(.*?)</td>", cells) for attributes, cells in records if "hidden" not in attributes
        ]
        return records, shown, done.stdout

    records, shown, dom = opened(page)
    assert len(shown) == len(records) > 100
    assert f"{len(records)} of {len(records)} rows" in dom
    assert '<option value="labels × 2">' in dom
    rows, shown, dom = opened(f"{page}#WHOLE%20rise")
    assert [row[:2] for row in shown] == [["A", "on the line / whole rise"], ["B", "on the line / whole rise"]]
    assert f"2 of {len(rows)} rows" in dom
    clicked = tmp_path / "clicked.html"
    click = 'document.querySelector("#results th:last-child button").click()'
    for clicks, sign in ((1, 1), (2, -1)):
        clicked.write_text(page.read_text().replace("</body>", f"<script>{(click + ';') * clicks}</script></body>"))
        _, shown, _ = opened(clicked)
        numbers = [sign * float(row[-1].split()[0]) for row in shown if re.match(r"-?\d", row[-1])]
        assert numbers == sorted(numbers)
        assert len(numbers) > 100
