"""Controls: one patch for each preference on a shared network; choosing a control is choosing its patch.

The parameters of a controlled network are {"base": parameters, "controls": patch}, where every leaf of the patch has
a leading axis of preferences [P].
"""

from typing import Any

import jax
from jax import Array

from implicit_inference.config.fields import Config
from implicit_inference.network.adapt import METHODS, Params, merge


def fresh(config: Config, params: Params, key: Array) -> Any:
    """Controls that were not trained yet: patches by `control.adapt`, each drawn on its own."""
    method = METHODS[config.control.adapt.method]
    keys = jax.random.split(key, len(config.control.grades))
    return jax.vmap(lambda subkey: method(config.control.adapt, params, subkey))(keys)


def choose(params: Params, control: Array | int) -> Params:
    """The network under one control, a whole number below P."""
    return merge(jax.tree.map(lambda leaf: leaf[control], params["controls"]), params["base"])
