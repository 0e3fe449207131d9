"""The equations of the membrane and the synapse. Floats and arrays alike.

Written once here, in the reference's own order of operations, and used by encoders and
neurons: constants may be Python floats (fixed) or arrays (trainable).
"""

from jaxtyping import Array

from ._surrogate import AbstractSurrogate

Constant = float | Array


def integrate_membrane(
    voltage: Array, current: Array, tau_mem: Constant, v_leak: Constant, dt: float
) -> Array:
    """One explicit Euler step of `v' = (v_leak - v + i) / tau_mem`."""
    return voltage + dt / tau_mem * ((v_leak - voltage) + current)


def decay_synapse(current: Array, tau_syn: Constant, dt: float) -> Array:
    """One explicit Euler step of `i' = -i / tau_syn`."""
    return current + -dt / tau_syn * current


def fire_and_reset(
    voltage: Array, v_th: Constant, v_reset: Constant, surrogate: AbstractSurrogate
) -> tuple[Array, Array]:
    """A spike if and only if `v > v_th`; then `v` is `v_reset` (to a rounding, unless 0).

    The derivative goes through the spike (the surrogate's) and through the reset.
    """
    spikes = surrogate(voltage - v_th)
    return voltage - spikes * (voltage - v_reset), spikes
