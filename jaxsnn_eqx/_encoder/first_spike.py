"""One spike per value, when a decaying threshold falls to it."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from .._fields import dt_field, dtype_field
from .._layer import AbstractTimed
from .._types import as_spikes, positive_int, positive_number, state_dtype
from .base import AbstractEmittingEncoder
from .rules import clip_unit, spike_at


class TimeToFirstSpikeEncoder(AbstractEmittingEncoder, AbstractTimed):
    """Encodes each value in [0, 1] as one spike, when `exp(−t / tau)` falls to it.

    The spike time is `t = tau · ln(1 / x)`, rounded to whole steps: 1 fires first, at 0, each
    value at equal ratios. What would fire beyond the last step, 0 included, is silent.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import TimeToFirstSpikeEncoder
    >>> TimeToFirstSpikeEncoder(seq_length=4, tau=2e-3)(jnp.array([0.1, 0.4, 1.0])).T
    Array([[0., 0., 0., 0.],
           [0., 0., 1., 0.],
           [1., 0., 0., 0.]], dtype=float32)

    ```

    **Arguments:**

    - `seq_length`: number of steps, at least 1 (static).
    - `tau`: time constant of the threshold, in seconds (static). Positive.
    - `dt`: length of a step in seconds (static). Positive.
    - `dtype`: dtype of the spikes (static); by default the floating dtype of the input.
        Through boolean and integer spikes all gradients are zero.

    Changing a static argument recompiles. Values outside [0, 1], infinities included, are
    clipped to it; **NaN** gives NaN at every step (False or 0 in boolean and integer dtypes).

    **Derivative:** as `LatencyEncoder`'s, with `d t / d x = −tau / x`; zero for silent values.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: Park, Kim, Na & Yoon, "T2FSNN: Deep Spiking Neural Networks with Time-to-First-Spike
    Coding", DAC (2020).
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    tau: float = eqx.field(static=True, converter=positive_number("tau"))
    dt: float = dt_field()
    dtype: Any = dtype_field()

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for values `x`; `key` is ignored."""
        x_ = clip_unit(x.astype(state_dtype(x)))
        # a silent value's time is that of a value that fires: no infinity, no NaN
        position = -jnp.log(jnp.where(x_ == 0, 1, x_)) * (self.tau / self.dt)
        fires = (x_ != 0) & (jnp.round(position) < self.seq_length)
        spikes = jnp.where(fires, spike_at(self.seq_length, position, t), 0)
        return as_spikes(jnp.where(jnp.isnan(x_), x_, spikes), self.dtype or x.dtype)
