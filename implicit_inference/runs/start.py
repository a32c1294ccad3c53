"""Starting JAX, so that whatever it cannot do is one line. No jax is imported before it is asked for."""

import os
from typing import Any

from implicit_inference.config.errors import UserError, quoted


def started(*hosts: Any) -> None:
    """Imports and prepares JAX, makes the devices of all `hosts` one set if any are given, and finds the devices.

    Raises UserError, which names the variables of the environment that JAX was told.
    """
    try:
        from implicit_inference.runs import runtime

        runtime.prepare()
        if hosts:
            from implicit_inference.runs.hosts import join

            join(*hosts)
        runtime.find_devices()
    except UserError:
        raise
    except Exception as error:  # JAX raises AssertionError, ValueError, RuntimeError: whatever stands in its way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        told = {name: value for name, value in os.environ.items() if name.startswith(("JAX_", "XLA_"))}
        variables = ", ".join(f"{name} = {quoted(value)}" for name, value in sorted(told.items())) or "nothing is set"
        raise UserError(f"JAX does not start ({variables}); allowed: what this machine has ({reason})") from error
