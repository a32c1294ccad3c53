"""Controls that inferred nothing: a network with random damage, and a predictor that has learned nothing."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from implicit_inference import keys
from implicit_inference.keys import Stream
from implicit_inference.measure.formulas import Values
from implicit_inference.measure.held_out import HeldOut
from implicit_inference.network.adapt import flat, nested
from implicit_inference.network.decoder import Params
from implicit_inference.pytrees import pytree
from implicit_inference.worlds import Predictor, Prompts

FACTORS = (2.0**-6, 2.0**6)
"""The range of factors of the damage that is searched for an equal rise of the loss."""
HALVINGS = 12


@pytree
class Uninformed:
    """Answers everywhere as an exact predictor answers with nothing in context: the zero predictor of regression."""

    exact: Predictor

    def __call__(self, prompts: Prompts) -> Array:
        """Predictions [N, K, *event] for prompts [N, K]."""
        answers = self.exact(prompts)
        return jnp.broadcast_to(answers[:, :1], answers.shape)


def damage(seed: Array, before: Params, after: Params) -> Params:
    """Random numbers for each parameter of `before`, with the norm of the change that fine-tuning made to it.

    Parameters that fine-tuning added, controls among them, are left out; those that it left alone are not damaged.
    """
    old, new = flat(before), flat(after.get("base", after))
    drawn = jax.random.split(keys.stream(seed, Stream.DAMAGE), len(old))
    noise = {}
    for key, (path, leaf) in zip(drawn, sorted(old.items()), strict=True):
        normal = jax.random.normal(key, leaf.shape, leaf.dtype)
        noise[path] = normal * jnp.linalg.norm(new[path] - leaf) / jnp.linalg.norm(normal)
    return nested(noise)


def damaged(held_out: HeldOut, stage: str) -> dict[str, Params]:
    """The parameters of the pretrained network, damaged: by the norm of a stage's change, and by its rise of the loss.

    The rise is that on the `tuning` prompts of the forgotten family, all positions but the empty context; the factor
    of the damage that has it is searched seed by seed. Without a rise there is next to no damage.
    """
    trained, packed, forgotten = held_out.trained, held_out.packed, held_out.described.forgotten
    before, after = trained.params_of("pretrain"), trained.params_of(stage)
    noise = packed.program(damage)(packed.seeds, before, after)
    add = packed.program(lambda params, noise, factor: jax.tree.map(lambda p, n: p + factor * n, params, noise))

    def with_noise(factors: Values) -> Params:
        return add(before, noise, packed.sharded(jnp.asarray(factors, jnp.float32)))

    def loss(predictor: Predictor) -> Values:
        return held_out.averaged(held_out.loss(predictor, forgotten, split="tuning"), "all")

    aim = loss(trained.network(stage))
    low, high = (np.full(len(aim), np.log(end)) for end in FACTORS)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = loss(trained.programs.network(with_noise(np.exp(middle)))) > aim
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return {"damaged_norm": with_noise(np.ones(len(aim))), "damaged_rise": with_noise(np.exp((low + high) / 2))}


def untrained(held_out: HeldOut) -> dict[str, Predictor]:
    """The controls that need no training, by their names in tables (`lookup.UNTRAINED`)."""
    broken = damaged(held_out, held_out.config.probe.stage)
    found = {name: held_out.trained.programs.network(params) for name, params in broken.items()}
    return found | {"uninformed": Uninformed(held_out.forgotten)}
