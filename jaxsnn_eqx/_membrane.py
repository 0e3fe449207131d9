"""The equations of the membrane and the synapse. Floats and arrays alike.

Written once here, in the reference's own order of operations, and used by encoders and
neurons: constants may be Python floats (fixed) or arrays (trainable).
"""

from typing import Any

import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array

from ._surrogate import AbstractSurrogate, fire
from ._types import as_spikes

Constant = float | Array

KEPT = "jaxsnn_eqx.potential"
"""Names what a derivative needs of a step, where all steps are kept."""


def integrate_membrane(
    voltage: Array, current: Array, tau_mem: Constant, v_leak: Constant, dt: float
) -> Array:
    """One explicit Euler step of `v' = (v_leak - v + i) / tau_mem`."""
    return voltage + dt / tau_mem * ((v_leak - voltage) + current)


def decay(x: Array, tau: Constant, dt: float) -> Array:
    """One explicit Euler step of `x' = -x / tau`: of a synaptic current, or an adaptation."""
    return x + -dt / tau * x


def fire_and_reset(
    voltage: Array,
    v_th: Constant,
    v_reset: Constant,
    surrogate: AbstractSurrogate,
    *,
    soft: bool = False,
    dtype: Any = None,
) -> tuple[Array, Array]:
    """A spike if and only if `v > v_th`; then `v` is `v_reset` (to a rounding, unless 0).

    With `soft`, `v` is lowered by `v_th - v_reset` instead, and keeps what exceeded `v_th`.
    Spikes are of the dtype of `v`, or of `dtype`; in one without a NaN none is looked for.
    The derivative goes through the spike (the surrogate's) and through the reset.
    """
    voltage = checkpoint_name(voltage, KEPT)
    fired, spikes = fire(surrogate, voltage - v_th)
    drop = v_th - v_reset if soft else voltage - v_reset
    if dtype is not None:
        floating = jnp.issubdtype(dtype, jnp.floating)
        spikes = as_spikes(spikes if floating else fired, dtype)
    return voltage - fired * drop, spikes
