"""Settings of JAX that must stand before it computes: its devices, its arithmetic, its cache of compiled programs."""

import contextlib
import os
from collections.abc import Iterator

import jax
import platformdirs

LEAST_COMPILE_SECONDS = 0.2
"""Programs that compile faster are not worth a file."""


def prepare() -> None:
    """Make a device of each core of the CPU, and keep compiled programs in the user's cache directory.

    Too late for the devices after the first computation. JAX's own environment variables are heard:
    JAX_NUM_CPU_DEVICES says how many devices, JAX_COMPILATION_CACHE_DIR keeps the programs elsewhere, and
    JAX_ENABLE_COMPILATION_CACHE=false does without.
    """
    use_cpu_cores()
    if not jax.config.jax_compilation_cache_dir and (directory := _cache()):  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", directory)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_COMPILE_SECONDS)


def _cache() -> str | None:
    """The user's directory for compiled programs; None where there is no such place to write to."""
    with contextlib.suppress(RuntimeError, KeyError, OSError):  # no home, an unknown user, a full or read-only disk
        directory = platformdirs.user_cache_path("implicit-inference") / "xla"
        directory.mkdir(parents=True, exist_ok=True)
        if os.access(directory, os.W_OK):
            return str(directory)
    return None


def find_devices() -> None:
    """Starts JAX's devices; raises whatever it does where they cannot be had."""
    jax.devices()


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """Holds the arithmetic of a run to single precision and whole products, whatever flags JAX was given."""
    with jax.enable_x64(False), jax.default_matmul_precision(None):
        yield


def use_cpu_cores() -> None:
    """Make a device of each core of the CPU that this process may use.

    Small matrix products gain little from a second core; a second seed on it gains almost everything, and half a
    batch on it most.
    """
    if "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(RuntimeError):  # the devices are there already
        jax.config.update("jax_num_cpu_devices", cores)
