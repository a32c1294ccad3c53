"""The documentation: links lead somewhere, code runs, commands are understood, the site names every page."""

import importlib.util
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from unittest.mock import create_autospec

import numpy as np
import pytest
from made_up import probe_run

import implicit_inference as ii
from implicit_inference import api
from implicit_inference.bayes.attribution import ACCOUNTS
from implicit_inference.cli import parser
from implicit_inference.config.flags import joined
from implicit_inference.config.stages import STAGES
from implicit_inference.finished import Probe
from implicit_inference.measure.lookup import STAGE_NAMES, UNTRAINED
from implicit_inference.measure.probe import COLUMNS
from implicit_inference.worlds import WORLDS, described

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "figures" / "README.md", *DOCS]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def by_path(path):
    return str(path.relative_to(ROOT))


def blocks(path, language):
    return [code for found, code in FENCE.findall(path.read_text()) if found == language]


def prose(path):
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text()))


def anchors(path):
    """The anchors of a page's headings, as GitHub and the site name them, and those written out."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'\b(?:id|name)="([^"]+)"', prose(path)))


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_every_link_and_picture_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page)) + re.findall(r'\b(?:href|src)="([^"]+)"', prose(page))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_every_file_that_a_page_names_is_there(page):
    roots = (ROOT, ROOT / "implicit_inference")
    for name in re.findall(r"(?<!\[)`((?:\w+/)+\w+\.(?:py|toml|md))`", page.read_text()):
        assert any((root / name).exists() for root in roots), name


@pytest.fixture
def untrained(tmp_path, monkeypatch):
    """Makes up every run just before it would train: the memory is checked then. Exact Bayes stands for networks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api.memory, "check", lambda config, stages: probe_run(tmp_path / "runs", config))
    stands = {"pretrained": "bayes_pretraining", "finetuned": "bayes_effective_finetuned"}
    real = Probe.predictor
    monkeypatch.setattr(Probe, "predictor", lambda self, name, seed=None: real(self, stands.get(name, name), seed))


def test_the_code_of_the_api_page_runs(untrained):
    names = run_all(ROOT / "docs" / "api.md")
    assert names["run"].config.tasks.n_discrete == 8
    assert names["error"].shape == (1024, 12)
    assert set(names["table"]["tasks.n_discrete"]) == {4, 8}


def test_the_code_of_the_page_on_extending_runs_and_keeps_the_laws():
    names = run_all(ROOT / "docs" / "extending.md")
    assert names["in_family"].shape == (100, 12)
    assert 0.499 < names["in_family"][:, 0].mean() < 0.501
    assert names["in_family"][:, -1].mean() > 0.6  # they are from it


@pytest.mark.slow
def test_the_tour_finds_what_the_networks_of_the_zoo_hold(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(ROOT / "examples" / "tour.py"))
    summary = ii.load("zoo/demo").summary
    assert f"net recovery by doubled labels: {names['net']:.2f}" in capsys.readouterr().out
    np.testing.assert_allclose(names["net"], summary["recovery"]["early"]["net_of_pretrained"]["mean"], atol=0.01)
    for n in range(1, 6):
        assert (tmp_path / f"tour_{n}.png").read_bytes().startswith(b"\x89PNG")


def test_the_tour_opens_as_a_notebook():
    cells = re.split(r"^# %%(.*)$", (ROOT / "examples" / "tour.py").read_text(), flags=re.MULTILINE)[1:]
    kinds = [kind.strip() for kind in cells[::2]]
    assert kinds[:2] == ["[markdown]", ""]
    assert set(kinds) == {"[markdown]", ""}
    for kind, text in zip(kinds, cells[1::2], strict=True):
        if kind == "[markdown]":
            assert all(line.startswith("#") for line in text.strip().splitlines())
    assert sum(text.rstrip().splitlines()[-1].startswith("Picture(") for text in cells[1::2]) == 5  # shown in the cell


def run_all(page):
    """Runs the Python blocks of a page, one after the other; returns their names."""
    names = {}
    for code in blocks(page, "python"):
        exec(code, names)
    return names


def test_the_code_of_the_page_on_sweeps_calls_what_there_is_with_a_file_that_can_be_swept(tmp_path):
    called = create_autospec(ii.sweep)  # refuses arguments that are not there
    (code,) = blocks(ROOT / "docs" / "sweeps.md", "python")
    exec(code.replace("ii.sweep", "sweep"), {"sweep": called})
    assert called.call_args_list[0].args == ("sweep.toml",)
    (tmp_path / "sweep.toml").write_text(blocks(ROOT / "docs" / "sweeps.md", "toml")[0])
    sweep = api.sweep_of(tmp_path / "sweep.toml")
    assert sweep.paths[:2] == ("finetune.replay", "finetune.learning_rate")


def test_every_page_with_code_is_run():
    assert {page.name for page in DOCS if blocks(page, "python")} == {"api.md", "extending.md", "sweeps.md"}


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_every_command_is_one(page):
    """Those in blocks are whole, but for ones with an ellipsis; those in a sentence may leave out what they need."""
    text = page.read_text()
    for line in "\n".join(blocks(page, "")).splitlines():
        check(line.split("#")[0], whole=True)
    for line in re.findall(r"`((?:implicit-inference|make|python) [^`\n]+)`", FENCE.sub("", text)):
        check(line, whole=False)


def check(line, whole):
    program, *arguments = shlex.split(line) or [""]
    if program == "implicit-inference" and whole and not re.search(r"[…\[;]", line):
        parser().parse_args(joined(arguments))
    elif program == "implicit-inference" and not whole:
        with pytest.raises(SystemExit, match="0"):
            parser().parse_args([*joined(arguments), "--help"])
    elif program == "make":
        targets = {argument for argument in arguments if "=" not in argument}
        assert targets <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)), line
    elif program == "python" and arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1]), line
    elif program == "python" and "NAME" not in line:
        assert (ROOT / arguments[0]).exists(), line


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_files_in_toml_and_json_can_be_read(page):
    for text in blocks(page, "toml"):
        tomllib.loads(text)
    for text in blocks(page, "json"):
        json.loads(text)


def test_the_glossary_has_every_name_of_tables_and_worlds():
    text = (ROOT / "docs" / "glossary.md").read_text()
    names = {*STAGES, *STAGE_NAMES.values(), *UNTRAINED, *ACCOUNTS, *COLUMNS, *WORLDS}
    for world in map(described, WORLDS):
        names |= {*world.families, *world.elsewhere, *world.exact.values(), *world.moves}
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_the_glossary_defines_a_term_once():
    terms = re.findall(r"\*\*(.+?)\*\*", (ROOT / "docs" / "glossary.md").read_text())
    assert len(terms) > 100
    assert sorted({term.lower() for term in terms}) == sorted(term.lower() for term in terms)


def test_the_site_names_every_page():
    index = (ROOT / "docs" / "index.md").read_text()
    listed = re.search(r"```{toctree}\n:hidden:\n\n(.*?)```", index, re.DOTALL)[1].split()
    assert sorted(listed) == sorted(page.stem for page in DOCS if page.stem != "index")


def module_of_docs(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made():
    """The module that makes parts of the site."""
    return module_of_docs("made")


def test_sketches_are_those_that_their_script_draws(tmp_path):
    """Their words, since versions of matplotlib place lines differently."""
    module_of_docs("sketches").main(tmp_path)
    kept, drawn = (
        {path.name: re.findall(r"<text[^>]*>([^<]*)<", path.read_text()) for path in folder.glob("*.svg")}
        for folder in (ROOT / "docs" / "sketches", tmp_path)
    )
    assert kept == drawn
    named = re.findall(r"\(sketches/(.*?)\)", (ROOT / "docs" / "measures.md").read_text())
    assert sorted(named) == sorted(drawn)


def test_findings_are_the_stored_claims(made):
    text = made.findings(ROOT / "figures" / "data")
    stored = [claim for path in ROOT.glob("figures/data/*/*.json") for claim in json.loads(path.read_text())]
    for claim in stored:
        name = claim["claim"].replace("|", r"\|")
        assert f"| {name} | {claim['verdict']} | " in text
    judged = re.findall(r"^\| .* \| (?:supported|refuted|undecided|not asked) \| ", text, re.MULTILINE)
    assert len(judged) - 1 == len(stored)  # the first one is the head of the table that counts them


def test_a_finding_has_its_interval_and_its_question(made, tmp_path):
    (tmp_path / "laptop").mkdir()
    claims = [
        {"claim": "|E| grows", "verdict": "refuted", "effects": [[-0.5, -0.75, -0.25], [0.0001, -0.0001, None]]},
        {"claim": "so it is", "verdict": "not asked", "effects": []},
    ]
    (tmp_path / "laptop" / "replay.json").write_text(json.dumps(claims))
    text = made.findings(tmp_path)
    assert r"| \|E\| grows | refuted | −0.500 (−0.750 to −0.250)<br>undefined |" in text
    assert "| so it is | not asked | – |" in text
    question = "How much of pretraining's data must be replayed in fine-tuning to keep what would be forgotten?"
    assert f"## {question}\n" in text
    assert f"| [{question}](#how-much-of-pretrainings-data-" in text
    assert "|  | 1 |  | 1 |" in text


def test_the_reference_has_every_public_name(made):
    text = made.reference()
    assert sorted(re.findall(r"auto\w+:: implicit_inference\.[\w.]+\.(\w+)$", text, re.MULTILINE)) == ii.__all__


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_no_network(tmp_path):
    for name in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(name)
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "docs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in DOCS:
        html = (tmp_path / f"{page.stem}.html").read_text()
        assert not re.findall(r'<(?:script|img|link|iframe)[^>]*(?:src|href)="(?:https?:)?//', html)
        for path in re.findall(r'(?:src|href)="(?!https:)([^"#?]+)', html):
            assert (tmp_path / path).exists(), f"{page.stem}: {path}"
    assert "component_posterior" in (tmp_path / "reference.html").read_text()


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
def test_make_alone_lists_what_there_is_to_make():
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make"], cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert sorted(line.split()[:2] for line in done.stdout.splitlines()) == sorted(["make", name] for name in targets)
    assert all(len(line.split()) > 3 for line in done.stdout.splitlines())


def test_one_version_is_told_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1].split()[0] == version


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
def test_nothing_that_is_kept_is_ignored():
    """A wheel leaves out what git is told to ignore, such as a folder of the package that is called runs."""
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == ""
