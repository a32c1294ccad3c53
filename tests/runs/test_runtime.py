"""JAX is started in an environment that it takes, or refused in one line that names the variable."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import platformdirs
import pytest

from implicit_inference.config.errors import UserError
from implicit_inference.runs import runtime


@pytest.mark.parametrize("devices", ["abc", "0", "-1", "", "257", "9" * 5000, "2.0"])
def test_a_number_of_devices_that_cannot_be_is_refused(devices, monkeypatch):
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", devices)
    with pytest.raises(UserError, match=r"JAX_NUM_CPU_DEVICES = '.*': allowed: a whole number from 1 to 256"):
        runtime.import_jax()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("JAX_ENABLE_X64", "maybe"),  # fails the import of jax
        ("JAX_PLATFORMS", "cuda"),  # fails an assertion in jax, where there is no such device
        ("JAX_PLATFORMS", "nonsense"),
        ("JAX_NUM_CPU_DEVICES", "abc"),
        ("JAX_NUM_CPU_DEVICES", "257"),
        ("XLA_FLAGS", "--nonsense"),  # ends the process from C++
    ],
)
def test_a_variable_that_jax_refuses_is_one_line(variable, value, tmp_path):
    command = [sys.executable, "-m", "implicit_inference", "pretrain", "--preset=smoke", f"--runs={tmp_path}"]
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    done = subprocess.run(
        command, env=environment | {variable: value}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"implicit-inference: {variable} = {value!r}")
    assert "allowed: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def untold():
    """JAX without a directory for compiled programs."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def homeless(monkeypatch, tmp_path):
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)  # nobody


def without_rights(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))


def unknown(monkeypatch, tmp_path):
    def fail(*arguments):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(platformdirs, "user_cache_path", fail)


@pytest.mark.parametrize("spoil", [homeless, without_rights, unknown])
def test_without_a_place_for_compiled_programs_it_goes_on_without(spoil, untold, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    spoil(monkeypatch, tmp_path)
    before = sorted(tmp_path.iterdir())
    runtime.keep_programs()
    assert jax.config.jax_compilation_cache_dir is None
    assert sorted(tmp_path.iterdir()) == before, "no directory named ~ or the like"


def test_compiled_programs_are_kept_where_they_can_be(untold, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runtime.keep_programs()
    assert Path(jax.config.jax_compilation_cache_dir) == tmp_path / "implicit-inference" / "xla"


def test_a_place_that_was_told_must_be_one(untold, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "cache")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", place)
    jax.config.update("jax_compilation_cache_dir", place)
    with pytest.raises(UserError, match=r"JAX_COMPILATION_CACHE_DIR = .*allowed: a directory that can be written"):
        runtime.keep_programs()
    jax.config.update("jax_compilation_cache_dir", "gs://bucket/cache")
    runtime.keep_programs()
