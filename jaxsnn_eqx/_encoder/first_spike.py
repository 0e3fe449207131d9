"""One spike per value, at the time when a decaying threshold reaches it."""

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Int, PRNGKeyArray

from .._adjust import Adjustment, DataRange, adjust
from .._layer import AbstractTimed
from .._types import (
    Constant,
    as_spikes,
    constant,
    constant_like,
    positive_int,
    positive_number,
    spike_dtype,
    state_dtype,
)
from .base import AbstractUnitEncoder
from .rules import clip_unit, spike_at


class TimeToFirstSpikeEncoder(AbstractUnitEncoder, AbstractTimed):
    r"""Encodes each value in [0, 1] as one spike, when a decaying threshold reaches it.

    The threshold is $e^{-t / \tau}$, so the spike time, rounded to whole steps, is

    $$
    t = \tau \ln \frac{1}{x}
    $$

    1 fires first, at step 0, and equal ratios of values give equal differences of times. Values
    that would fire after the last step, 0 included, are silent.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import TimeToFirstSpikeEncoder
    >>> TimeToFirstSpikeEncoder(seq_length=4, tau=2e-3)(jnp.array([0.1, 0.4, 1.0])).T
    Array([[0., 0., 0., 0.],
           [0., 0., 1., 0.],
           [1., 0., 0., 0.]], dtype=float32)

    ```

    **Arguments:**

    - `tau`: time constant of the threshold, in seconds. Positive. A number or tuple is fixed;
        a JAX array (a scalar, or of the values' shape) is trained.
    - `seq_length`, `dt`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    Values outside [0, 1], infinities included, are clipped to it; **NaN** gives NaN at every
    step.

    **Derivative:** as `LatencyEncoder`'s, with `d t / d x = −tau / x`; zero for silent values.

    Source: Park, Kim, Na & Yoon, "T2FSNN: Deep Spiking Neural Networks with Time-to-First-Spike
    Coding", DAC (2020).
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    tau: Constant = eqx.field(converter=constant("tau", positive=True))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def adjustment(self, data: DataRange) -> Adjustment:
        """`tau`, and so the share of silent values."""
        return adjust(self, "tau", 1e-3 * self.dt, 1e3 * self.dt * self.seq_length)

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for values `x`; `key` is ignored."""
        x_ = clip_unit(x.astype(state_dtype(x)))
        # ln(0) is infinite and its derivative NaN, so silent values get the time of a 1
        tau = constant_like("tau", self.tau, x_)
        position = -jnp.log(jnp.where(x_ == 0, 1, x_)) * (tau / self.dt)
        fires = (x_ != 0) & (jnp.round(position) < self.seq_length)
        spikes = jnp.where(fires, spike_at(self.seq_length, position, t), 0)
        return as_spikes(jnp.where(jnp.isnan(x_), x_, spikes), self.dtype or x.dtype)
