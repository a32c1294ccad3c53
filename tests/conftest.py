"""Silent errors made loud: two devices, no rank promotion, warnings as errors (pyproject.toml), checked shapes."""

import jax
from hypothesis import settings
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
settings.register_profile("compiled", deadline=None, derandomize=True)  # the first example of a shape compiles
settings.load_profile("compiled")

install_import_hook(
    ["implicit_inference.regression", "implicit_inference.model", "implicit_inference.train"], "beartype.beartype"
)
