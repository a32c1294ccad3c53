"""Starting JAX: which devices there are, where compiled programs are kept, and an environment that it does not take.

Importing it does not import jax, since a wrong environment variable fails that import.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

from implicit_inference.config.errors import LONGEST_QUOTE, UserError, quoted, shortened

LEAST_COMPILE_SECONDS = 0.2
"""Programs that compile faster are not worth a file."""

MOST_DEVICES = 256
"""Devices made of one CPU; each has threads of its own."""

HEARD = re.compile(r"(JAX|XLA|CUDA|ROCR|HIP)_")
"""Environment variables that JAX and its backends listen to."""


def prepare(join: Callable[[], None] = lambda: None) -> None:
    """Starts JAX: a device of each core of the CPU, and compiled programs kept in the user's cache directory.

    `join` is called before there are devices: it may bring in those of other hosts. JAX's own environment variables
    are heard: JAX_NUM_CPU_DEVICES says how many devices, JAX_COMPILATION_CACHE_DIR keeps the programs elsewhere, and
    JAX_ENABLE_COMPILATION_CACHE=false does without. Raises UserError where one of them has a value that cannot be.
    """
    import_jax()
    import jax

    use_cpu_cores()
    keep_programs()
    join()
    with _environment_named():
        jax.devices()


def import_jax() -> int:
    """Imports JAX and returns 0, as a command does. Raises UserError that names the variable which forbids it."""
    devices = os.environ.get("JAX_NUM_CPU_DEVICES", "1")
    if not re.fullmatch(r"0*[1-9]\d{0,3}", devices, re.ASCII) or int(devices) > MOST_DEVICES:
        raise refused("JAX_NUM_CPU_DEVICES", f"a whole number from 1 to {MOST_DEVICES}")
    with _environment_named():
        import jax  # noqa: F401
    if os.environ.get("XLA_FLAGS"):  # a wrong one ends the process from C++: that of another one, then
        code = "from jaxlib import _jax; _jax.CompileOptions()"
        if subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode:
            raise refused("XLA_FLAGS", "flags and values that this version of XLA knows")
    return 0


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """Holds the arithmetic of a run to single precision, products too, whatever flags JAX was given.

    Left to itself, JAX multiplies float32 matrices with fewer digits on GPUs and TPUs.
    """
    import jax

    with jax.enable_x64(False), jax.default_matmul_precision("highest"):
        yield


def cores() -> list[int]:
    """The cores of the CPU that this process may use, by number."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [*range(os.cpu_count() or 1)]


def use_cpu_cores() -> None:
    """Make a device of each core of the CPU that this process may use.

    Small matrix products gain little from a second core; a second seed on it gains almost everything, and half a
    batch on it most.
    """
    import jax

    if "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    with contextlib.suppress(RuntimeError):  # the devices are there already
        jax.config.update("jax_num_cpu_devices", len(cores()))


def keep_programs() -> None:
    """Keeps compiled programs in the directory that JAX was told, else in the user's cache; without one, not at all.

    Raises UserError where JAX was told a directory that cannot be written.
    """
    import jax

    if not jax.config.jax_enable_compilation_cache:  # type: ignore[attr-defined]
        return
    if directory := jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        if "://" not in directory and not _writable(Path(directory)):
            raise refused("JAX_COMPILATION_CACHE_DIR", "a directory that can be written")
        return
    with contextlib.suppress(RuntimeError):  # nobody's home is known
        directory = platformdirs.user_cache_path("implicit-inference") / "xla"
        if directory.is_absolute() and _writable(directory):
            jax.config.update("jax_compilation_cache_dir", str(directory))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_COMPILE_SECONDS)


def refused(variable: str, allowed: str) -> UserError:
    """The error for an environment variable whose value cannot be."""
    return UserError(f"{variable} = {quoted(os.environ.get(variable, ''))}: allowed: {allowed}")


@contextlib.contextmanager
def _environment_named() -> Iterator[None]:
    """Turns whatever JAX raises at its start into a UserError with the environment variables that it listens to."""
    heard = [f"{name} = {quoted(value)}" for name, value in sorted(os.environ.items()) if HEARD.match(name)]
    try:
        yield
    except Exception as error:
        reason = shortened((str(error).splitlines() or ["no such device"])[0], LONGEST_QUOTE * 2)
        given = ", ".join(heard) or "this environment"
        allowed = "allowed: values that JAX knows on this machine, or none"
        raise UserError(f"{given}: JAX does not start ({reason}); {allowed}") from error


def _writable(directory: Path) -> bool:
    """Whether files can be made in the directory, which is made if need be."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False
