"""Twice the digits where a difference of large numbers decides (Ogita, Rump and Oishi 2005)."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float


def residual(ys: Float[Array, "K b"], xs: Float[Array, "K b d"], ws: Float[Array, "b d"]) -> Float[Array, "K b"]:
    """y - <w, x>, rounded once: as if computed with 30 digits. To be called in float64.

    Factors are split into 24 bits and the rest, so that products of the parts are exact (which leaves a compiler
    nothing to lose when it fuses multiply and add); the errors of all additions are kept and added last.
    """
    (x_high, x_low), (w_high, w_low) = _split(xs), _split(ws[None])
    terms = jnp.concatenate([x_high * w_high, x_high * w_low, x_low * w_high, x_low * w_low], axis=-1)

    def subtract(total: tuple[Array, Array], term: Array) -> tuple[tuple[Array, Array], None]:
        high, low = total
        new = high - term
        back = new - high
        return (new, low + ((high - (new - back)) - (term + back))), None

    (high, low), _ = jax.lax.scan(subtract, (ys, 0 * ys), jnp.moveaxis(terms, -1, 0))
    return high + low


def _split(x: Array) -> tuple[Array, Array]:
    high = jax.lax.reduce_precision(x, exponent_bits=11, mantissa_bits=23)
    return high, x - high
