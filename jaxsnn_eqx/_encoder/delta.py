"""Spikes where a signal changes quickly."""

from typing import Any

import equinox as eqx

from .._fields import checkpoint_field, dtype_field, surrogate_field
from .._surrogate import AbstractSurrogate
from .._types import Constant, constant
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
    - `surrogate`: the spike and its derivative, an `AbstractSurrogate`, in units of the signal.
    - `checkpoint_every`: steps between the states kept for the reverse pass (static); see
        `integrate`, which also gives the default.
    - `dtype`: dtype of the spikes (static); by default the floating dtype of the input.
        Through boolean and integer spikes all gradients are zero.

    Changing a static argument recompiles.

    `decode(spikes, start)` adds up a threshold per spike: exact where every change is of one
    threshold or none. What a change has beyond its threshold, or below it, is lost for good.

    **Derivative:** the surrogate's, with respect to the signal and the threshold, in forward
    and reverse mode. **NaN** gives NaN from that step on (0 in integer dtypes); so does an
    **infinity** after another of its sign, or as the first sample.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: Lichtsteiner, Posch & Delbruck, "A 128×128 120 dB 15 μs latency asynchronous
    temporal contrast vision sensor", IEEE Journal of Solid-State Circuits 43 (2008); snnTorch's
    `spikegen.delta`, which compares the first sample with 0.
    """

    threshold: Constant = eqx.field(converter=constant("threshold", positive=True))
    signed: bool = eqx.field(default=True, static=True)
    surrogate: AbstractSurrogate = surrogate_field()
    checkpoint_every: int | None = checkpoint_field()
    dtype: Any = dtype_field()
