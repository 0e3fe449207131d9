"""The equations of the membrane and the synapse.

Written once here, in jaxsnn's order of operations, and used by encoders and neurons: constants
may be Python floats (fixed) or arrays (trained), of a shape that broadcasts to the state.
"""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array

from ._integrate import KEPT
from ._parameters import AnyLIFParameters
from ._surrogate import AbstractSurrogate, fire
from ._types import as_spikes, constant_like


def integrate_membrane(
    potential: Array, current: Array, params: AnyLIFParameters, dt: float
) -> Array:
    """One explicit Euler step of `v' = (v_leak - v + r i) / tau_mem`."""
    tau_mem = constant_like("tau_mem", params.tau_mem, potential)
    v_leak = constant_like("v_leak", params.v_leak, potential)
    r = constant_like("r", params.r, potential)
    if isinstance(r, float) and r == 1:
        return potential + dt / tau_mem * ((v_leak - potential) + current)
    gain = one_if_close(dt / tau_mem * r)
    return potential + dt / tau_mem * (v_leak - potential) + gain * current


def accumulate(potential: Array, current: Array, params: AnyLIFParameters) -> Array:
    """One step of `v' = r i`, in which a current lasts for one unit of time."""
    return potential + constant_like("r", params.r, potential) * current


def one_if_close(gain: float | Array) -> float | Array:
    """`gain`, or exactly 1 where only rounding makes it another number.

    Frameworks that add the input as it is write `r = tau_mem / dt` into their files.
    """
    if isinstance(gain, float):
        return 1.0 if abs(gain - 1) < 1e-6 else gain
    return gain + lax.stop_gradient(jnp.where(jnp.abs(gain - 1) < 1e-6, 1 - gain, 0))


def decay(x: Array, name: str, tau: float | Array, dt: float) -> Array:
    """One explicit Euler step of `x' = -x / tau`: of a synaptic current, or an adaptation."""
    return x + -dt / constant_like(name, tau, x) * x


def fire_and_reset(
    potential: Array,
    v_th: float | Array,
    v_reset: float | Array,
    surrogate: AbstractSurrogate,
    *,
    soft: bool = False,
    detach: bool = False,
    dtype: Any = None,
) -> tuple[Array, Array]:
    """A spike if and only if `v > v_th`, which sets `v` to `v_reset` (up to rounding).

    With `soft`, a spike subtracts `v_th - v_reset` instead, so that the part above `v_th` is
    kept. Spikes have the dtype of `v`, or `dtype`; boolean and integer spikes cannot be NaN.
    The derivative is the surrogate's, through the spike and, without `detach`, through the
    reset.
    """
    potential = checkpoint_name(potential, KEPT)
    v_th = constant_like("v_th", v_th, potential)
    v_reset = constant_like("v_reset", v_reset, potential)
    fired, spikes = fire(surrogate, potential - v_th)
    drop = v_th - v_reset if soft else potential - v_reset
    if dtype is not None:
        floating = jnp.issubdtype(dtype, jnp.floating)
        spikes = as_spikes(spikes if floating else fired, dtype)
    resets = lax.stop_gradient(fired) if detach else fired
    return potential - resets * drop, spikes


def hold_refractory(
    remaining: Array, steps: int, before: Array, potential: Array, spikes: Array
) -> tuple[Array, Array, Array]:
    """Where neurons are refractory, keeps the potential at `before` and removes the spikes.

    `remaining` is set to `steps` by a spike and counts down. Returns
    `(remaining, potential, spikes)`.
    """
    refractory = remaining > 0
    potential = jnp.where(refractory, before, potential)
    spikes = jnp.where(refractory, 0, spikes)
    remaining = jnp.maximum(remaining - 1, 0)
    return jnp.where(spikes > 0.5, steps, remaining), potential, spikes


def lif_step(
    potential: Array,
    current: Array,
    params: AnyLIFParameters,
    dt: float,
    surrogate: AbstractSurrogate,
    *,
    soft: bool = False,
    detach: bool = False,
    dtype: Any = None,
) -> tuple[Array, Array]:
    """Integrate, fire, reset: `(potential, spikes)`, jaxsnn's `lif_current_encoder`."""
    potential = integrate_membrane(potential, current, params, dt)
    return fire_and_reset(
        potential, params.v_th, params.v_reset, surrogate, soft=soft, detach=detach, dtype=dtype
    )
