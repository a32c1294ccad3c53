import subprocess
import sys

import pytest

from implicit_inference.cli import main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["COMMAND"]),
        (["dance"], ["dance", "run", "pretrain"]),
        (["run", "--preset", "huge"], ["huge", "smoke", "demo", "paper"]),
        (["run", "--tasks.dims", "3"], ["--tasks.dims"]),
        (["run", "--tasks.dim", "3.7"], ["tasks.dim = 3.7", "a whole number >= 1"]),
        (["run", "--tasks.dim", "many"], ["tasks.dim = 'many'", "a whole number >= 1"]),
        (["run", "--tasks.noise-std", "-1"], ["tasks.noise_std = -1", "> 0"]),
        (["run", "--pretrain.target", "truth"], ["pretrain.target = 'truth'", "label, noise_free, posterior_mean"]),
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


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["presets"], ["run", "--tasks.dim", "0"]])
def test_help_and_mistakes_do_not_import_jax(arguments):
    code = "import sys; from implicit_inference.cli import main\n"
    code += f"try: main({arguments!r})\nexcept SystemExit: pass\n"
    code += "sys.exit('jax' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_public_names_import_without_a_backend():
    code = (
        "import implicit_inference as ii\n"
        "for name in ii.__all__: getattr(ii, name)\n"
        "import jax._src.xla_bridge as bridge\n"
        "assert not bridge._backends"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
