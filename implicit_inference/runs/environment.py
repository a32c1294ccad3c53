"""The environment that a run's numbers were made in: versions, backend, devices, git commit, flags, command."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("implicit-inference", "jax", "jaxlib", "flax", "optax", "numpy")


def environment(seconds: float, resumed: bool = False) -> dict[str, Any]:
    """The content of env.json.

    `seconds`: the wall time of this process; after a resume that is not all.
    """
    import jax

    devices = jax.devices()
    return {
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "backend": jax.default_backend(),
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "cpu_cores": os.cpu_count(),
        "git_commit": _git_commit(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "jax_variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith("JAX_")},
        "command": " ".join(sys.argv[1:]),
        "wall_seconds": round(seconds, 2),
        "resumed": resumed,
    }


def _git_commit() -> str | None:
    """The commit of the checkout that the package runs from, if it runs from one and git is there."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
