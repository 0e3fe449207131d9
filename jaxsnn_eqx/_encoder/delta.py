"""Spikes where a signal changes quickly."""

import equinox as eqx
from jax.typing import DTypeLike

from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import Constant, constant, spike_dtype
from .change import AbstractChangeEncoder


class DeltaEncoder(AbstractChangeEncoder):
    """Encodes a signal's changes: fires where a sample differs enough from the one before.

    At every step, with the previous sample `x⁻` (at first the first sample itself, so that it
    never fires):

        z <- 1 if x − x⁻ >= threshold, −1 if x − x⁻ <= −threshold, else 0
        x⁻ <- x

    Slow drifts never fire, however far they go: for those, `StepForwardEncoder`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import DeltaEncoder
    >>> DeltaEncoder(threshold=0.5)(jnp.array([2.0, 2.5, 2.25, 1.25]))
    Array([ 0.,  1.,  0., -1.], dtype=float32)

    ```

    **Arguments:**

    - `threshold`: the change that fires, in units of the signal. Positive. A number or tuple
        is fixed, a JAX array (scalar, or of a sample's shape) trainable.
    - `signed`: whether falls fire spikes of −1 (static); otherwise only rises fire.
    - `surrogate`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer]. `surrogate` is in
        units of the signal; `dtype` must hold −1 if `signed`.

    `decode(spikes, start)` adds up a threshold per spike: exact where every change is of one
    threshold or none. What a change has beyond its threshold, or below it, is lost for good.

    **Derivative:** the surrogate's, with respect to the signal and the threshold, in forward
    and reverse mode. A **NaN** sample gives NaN at its own step and at the next, which are the
    two changes that it is part of. An **infinity** fires at both, but gives NaN as the first
    sample, or behind another of its sign.

    Source: Lichtsteiner, Posch & Delbruck, "A 128×128 120 dB 15 μs latency asynchronous
    temporal contrast vision sensor", IEEE Journal of Solid-State Circuits 43 (2008); snnTorch's
    `spikegen.delta`, which compares the first sample with 0.
    """

    threshold: Constant = eqx.field(converter=constant("threshold", positive=True))
    signed: bool = eqx.field(default=True, static=True)
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)
