"""Silent errors made loud: two devices, no promotion of ranks or dtypes, checked shapes, warnings as errors."""

import os
from importlib import import_module
from pathlib import Path

import jax
import optax
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

CHAIN = optax.chain


def chain_with_promotion(*rules):
    """Optimisers of optax raise floats to whole powers: their updates alone may promote dtypes."""
    init, update = CHAIN(*rules)
    return optax.GradientTransformation(init, jax.numpy_dtype_promotion("standard")(update))


optax.chain = chain_with_promotion

# Compiling takes most of the time, and laws hold however well a program is compiled; `make test-slow` compiles it well.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
QUICK = os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1"
jax.config.update("jax_disable_most_optimizations", QUICK)
if QUICK and jax.__version_info__ < (0, 11):  # later versions end the process at these flags
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1")

# Many tests compile the same program in a runner or a process of their own.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(__file__).parent.parent / ".pytest_cache" / "xla")
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)

settings.register_profile("compiled", deadline=None, derandomize=True)  # the first example of a shape compiles
settings.load_profile("compiled")

install_import_hook(
    [f"implicit_inference.{name}" for name in ("bayes", "regression", "network.decoder", "training.steps")],
    "shapes.check",
)

# Unrolled positions take twice as long to compile; that they change only rounding is tested apart.
import_module("implicit_inference.regression.filters").UNROLLED = 1


@pytest.fixture(autouse=True, scope="module")
def _programs_end_with_their_module():
    """Every compiled program holds some of the 65,530 memory maps that Linux gives a process, and megabytes."""
    yield
    jax.clear_caches()
