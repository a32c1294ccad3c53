import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from made_up import finished

from implicit_inference import api, cli
from implicit_inference.cli import main
from implicit_inference.config.changes import PRESETS, override
from implicit_inference.config.identity import run_id
from implicit_inference.runs.store import Run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["COMMAND"]),
        (["dance"], ["dance", "run", "pretrain"]),
        (["run", "--preset", "huge"], ["huge", "smoke", "demo", "paper"]),
        (["run", "--tasks.dims", "3"], ["--tasks.dims", "did you mean --tasks.dim?"]),
        (["run", "--tasks.n_discret=3"], ["did you mean --tasks.n-discrete?"]),
        (["run", "--tasks.n_discrete", "0"], ["tasks.n_discrete = 0", ">= 1"]),
        (["run", "--tasks.dim", "3.7"], ["tasks.dim = 3.7", "a whole number >= 1"]),
        (["run", "--tasks.dim", "many"], ["tasks.dim = 'many'", "a whole number >= 1"]),
        (["run", "--tasks.noise-std", "-1"], ["tasks.noise_std = -1", "> 0"]),
        (["run", "--pretrain.target", "nonsense"], ["pretrain.target = 'nonsense'", "label, truth, bayes"]),
        (["run", "--seeds", "1,1"], ["seeds = [1, 1]", "each once"]),
        (["run", "--config", "missing.toml"], ["missing.toml", "cannot be read"]),
        (["finetune"], ["--parent"]),
        (["finetune", "--parent", "pretrain-0"], ["pretrain-0", "no such pretrain run"]),
        (["finetune", "--parent", "pretrain-0", "--finetune.steps", "0"], ["finetune.steps = 0", ">= 1"]),
        (["probe", "finetune-0"], ["finetune-0", "no such finetune run"]),
        (["run", "--probe.label-scales", "-1,0"], ["probe.label_scales = [-1.0, 0.0]", "other than 0"]),
        (["run", "--pretrain.optimizer", "adam", "--pretrain.weight-decay", "1"], ["weight_decay = 1", "adamw"]),
        (["show", "x", "--runs", __file__], ["no such run"]),
        (["show", "x"], ["x", "no such run"]),
        (["sweep"], ["FILE.toml"]),
        (["sweep", "x.toml"], ["x.toml", "cannot be read"]),
    ],
)
def test_mistakes_are_one_line_and_exit_code_two(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("implicit-inference: ")
    assert captured.err.count("\n") == 1
    for word in words:
        assert word in captured.err
    assert list(tmp_path.iterdir()) == []


def test_presets_and_help_list_every_section(capsys):
    assert main(["presets"]) == 0
    out = capsys.readouterr().out
    for name in ("# smoke", "# demo", "# paper", "[tasks]", "[pretrain]", "n_discrete = 64"):
        assert name in out
    with pytest.raises(SystemExit) as caught:
        main(["run", "--help"])
    assert caught.value.code == 0
    assert "--tasks.n-discrete" in capsys.readouterr().out


def test_it_says_its_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"implicit-inference {version('implicit-inference')}\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("implicit-inference pre", ["presets", "pretrain"]),
        ("implicit-inference run --preset lang", ["language-demo", "language-paper", "language-smoke"]),
        ("implicit-inference run --tasks.n-d", ["--tasks.n-discrete "]),
        ("implicit-inference run --preset nonsense --adapt.m", ["--adapt.method "]),
        ("implicit-inference lm t", ["tune "]),
    ],
)
def test_a_shell_completes(line, words, tmp_path):
    """It asks as argcomplete's scripts for bash, zsh and fish do, and is answered without jax."""
    pytest.importorskip("argcomplete")
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    code = "import sys; sys.modules['jax'] = None; from implicit_inference.cli import main; main()"
    environment = os.environ | asked | {"_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "answer")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted((tmp_path / "answer").read_text().split("\n")) == words


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["run", "--help"], ["presets"], ["run", "--tasks.dim", "0"], ["sweep", "x.toml"]],
)
def test_help_and_mistakes_do_not_import_jax(arguments):
    code = "import sys; from implicit_inference.cli import main\n"
    code += f"try: main({arguments!r})\nexcept SystemExit: pass\n"
    code += "sys.exit('jax' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [["show", "x"], ["report"], ["report", "x"], ["figures", "x"], ["finetune", "--parent", "x"], ["probe", "x"]],
)
def test_a_run_that_is_not_there_is_told_without_jax(arguments, tmp_path, monkeypatch, capsys):
    """Import hooks would see a module that other tests have imported; a child sees none."""
    code = "import sys; from implicit_inference.cli import main\n"
    code += f"code = main({[*arguments, '--runs', str(tmp_path)]!r})\n"
    code += "sys.exit(code + 10 * bool({'jax', 'matplotlib', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize("eager", ["", "1"])
def test_public_names_import_without_a_backend(eager):
    """All at once, too, as lazy_loader does when it is told EAGER_IMPORT."""
    code = (
        "import implicit_inference as ii\n"
        "for name in ii.__all__: getattr(ii, name)\n"
        "import jax._src.xla_bridge as bridge\n"
        "assert not bridge._backends"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"EAGER_IMPORT": eager})


@pytest.fixture
def paper(tmp_path, monkeypatch):
    """A finished pretraining of the paper's size that was never trained; children stop before they train."""
    run = Run(tmp_path / "runs" / run_id("pretrain", PRESETS["paper"]))
    finished(run, PRESETS["paper"])
    trained = []
    monkeypatch.setattr(cli, "_trained", lambda config, options, *stages: trained.append(config))
    monkeypatch.setattr(api, "train", lambda trained, stages: None)
    return lambda *arguments: (
        main(["finetune", f"--parent={run.id}", f"--runs={run.directory.parent}", *arguments]),
        trained,
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [("finetune.n_tasks", 32), ("adapt.layers", (11,)), ("finetune.steps", 30), ("finetune.narrow_std", 2.0)],
)
def test_a_child_s_changes_are_checked_against_its_parent(paper, path, value):
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    method = ["--adapt.method=layers"] if path == "adapt.layers" else []
    code, (config,) = paper(f"--{path.replace('_', '-')}={text}", *method)
    assert code == 0
    section, name = path.split(".")
    assert getattr(getattr(config, section), name) == value
    assert config.tasks == PRESETS["paper"].tasks
    assert config.finetune.optimizer == PRESETS["paper"].finetune.optimizer


def test_a_child_s_wrong_changes_are_told_by_the_parent_s_values(paper, capsys, tmp_path):
    file = tmp_path / "child.toml"
    file.write_text("[tasks]\ndim = 20\n[finetune]\nn_tasks = 65\n")
    for argument, words in (
        ("--finetune.n-tasks=65", ["finetune.n_tasks = 65", "at most 64"]),
        ("--adapt.layers=12", ["adapt.layers = [12]", "below model.layers (12)"]),
        (f"--config={file}", ["finetune.n_tasks = 65", "at most 64"]),  # dim is the parent's
        ("--tasks.dim=4", ["tasks.dim = 4", "is fixed by pretrain-", "(20)", "finetune.* and adapt.*"]),
        ("--probe.prompts=4", ["probe.prompts = 4", "is fixed by"]),
    ):
        code, trained = paper(argument)
        assert (code, trained) == (2, [])
        message = capsys.readouterr().err
        for word in words:
            assert word in message


def test_the_same_command_gives_the_same_child_whoever_made_the_parent(tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(cli, "_trained", lambda config, options, *stages: found.append(config))
    monkeypatch.setattr(api, "train", lambda trained, stages: None)
    for name, maker in (("a", {}), ("b", {"finetune.steps": 7000, "probe.prompts": 7, "tune.steps": 70})):
        config = override(PRESETS["smoke"], maker)
        run = Run(tmp_path / name / run_id("pretrain", config))
        finished(run, config)
        assert main(["finetune", f"--parent={run.id}", f"--runs={tmp_path / name}"]) == 0
    assert found[0] == found[1]
    assert found[0].finetune == PRESETS["smoke"].finetune
