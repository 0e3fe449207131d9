"""The time at which a sawtooth carrier reaches the signal."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from .._adjust import DataRange
from .._layer import AbstractTimed
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    First,
    Sample,
    Signal,
    as_first,
    as_floating,
    as_spikes,
    checked,
    optional_positive_int,
    positive_number,
    real_number,
    spike_dtype,
    state_dtype,
    zero_state,
)
from .base import AbstractSignalEncoder
from .rules import at_least


class CarrierState(NamedTuple):
    """1 where the carrier reached the signal in this period, `"*shape"`; the time index."""

    passed: Float[Array, "*shape"]
    t: Int[Array, ""]


class PulseWidthEncoder(AbstractSignalEncoder, AbstractTimed):
    r"""Encodes a signal by the time at which a sawtooth carrier reaches it, in each period.

    The carrier $c$ rises from `low` at the first of the $n$ steps of a period to `high` at the
    last. Each step computes, in this order, with $p = 0$ at the start of each period:

    $$
    \begin{split}
    c &\leftarrow \text{low} + (\text{high} - \text{low}) \frac{t \bmod n}{n - 1} \\
    a &\leftarrow 1 \text{ if } c \ge x \text{, else } 0 \\
    z &\leftarrow a (1 - p) \\
    p &\leftarrow p + z
    \end{split}
    $$

    A signal within [low, high] fires once per period; a larger signal fires later. A signal
    above `high` is silent, and one below `low` fires at the first step.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import PulseWidthEncoder
    >>> encoder = PulseWidthEncoder(period=5e-3)  # the carrier: 0, 1/4, 1/2, 3/4, 1
    >>> spikes = encoder(jnp.array([0.4] * 5 + [0.9] * 5))
    >>> spikes
    Array([0., 0., 1., 0., 0., 0., 0., 0., 0., 1.], dtype=float32)
    >>> encoder.decode(spikes)[2::7]
    Array([0.375, 0.875], dtype=float32)

    ```

    **Arguments:**

    - `period`: of the carrier, in seconds (static). At least two steps.
    - `low`, `high`: the range of the carrier, in units of the signal (static). `low < high`.
    - `dt`, `surrogate`, `checkpoint_every`, `dtype`:
        [shared arguments][jaxsnn_eqx.AbstractLayer]. `surrogate` is in units of the signal.

    `decode(spikes)` interpolates linearly between the spikes. At each spike the error is at
    most half a step of the carrier, `(high − low) / (n − 1) / 2`.

    **Derivative:** the surrogate's, through the crossing and the silence after it, in forward
    and reverse mode. **NaN** gives NaN from that step to the end of its period;
    **infinities** are above or below the carrier.

    Source: Arriandiaga, Portillo, Espinosa-Ramos & Kasabov, "Pulsewidth modulation-based
    algorithm for spike phase encoding and decoding of time-dependent analog data", IEEE
    Transactions on Neural Networks and Learning Systems 31 (2020).
    """

    period: float = eqx.field(static=True, converter=positive_number("period"))
    low: float = eqx.field(default=0.0, static=True, converter=real_number("low"))
    high: float = eqx.field(default=1.0, static=True, converter=real_number("high"))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        if self.period_steps < 2:
            raise ValueError(
                f"`period` must be at least two steps of dt={self.dt} s, got {self.period} s."
            )
        if self.low >= self.high:
            raise ValueError(
                f"`low` must be below `high`, got low={self.low} and high={self.high}."
            )

    @property
    def input_range(self) -> tuple[float, float]:
        """The range of the carrier."""
        return self.low, self.high

    def at_rate(self, rate: float, dt: float, data: DataRange) -> "PulseWidthEncoder":
        """The same with another period, and the range of the data for that of the carrier."""
        steps = max(round(1 / (rate * dt)), 2)
        low, high = float(np.min(data.low)), float(np.max(data.high))
        return dataclasses.replace(self, period=steps * dt, low=low, high=high)

    @property
    def period_steps(self) -> int:
        """Steps in a period."""
        return round(self.period / self.dt)

    def carrier(self, t: Array) -> Array:
        """The carrier at step `t`, in units of the signal."""
        # from a table: in a product XLA would round once or twice, as it fuses it or not
        steps = np.linspace(self.low, self.high, self.period_steps)
        return jnp.asarray(steps, jnp.float32)[t % self.period_steps]

    @checked
    def init(self, x: First) -> CarrierState:
        """The start of a period, for a signal of samples like `x`."""
        return CarrierState(zero_state(as_first(x)), jnp.zeros((), jnp.int32))

    @checked
    def step(
        self,
        state: CarrierState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[CarrierState, Shaped[Array, "*shape"]]:
        """One sample: `(state, spikes)`; `key` is ignored."""
        x = as_floating(x)
        sample = x.astype(state.passed.dtype)
        carrier = jnp.broadcast_to(self.carrier(state.t).astype(sample.dtype), sample.shape)
        passed = jnp.where(state.t == 0, 0, state.passed)
        spikes = at_least(self.surrogate, carrier - sample) * (1 - passed)
        state = CarrierState(passed + spikes, (state.t + 1) % self.period_steps)
        return state, as_spikes(spikes, self.dtype or x.dtype)

    @checked
    def decode(self, spikes: Signal) -> Float[Array, "time *shape"]:
        """The reconstructed signal: linear between the spikes, constant outside of them.

        **Arguments:**

        - `spikes`: of shape `"time *shape"`; without any spike, the middle of the range.
        """
        return _decoded(self, as_floating(spikes))

    def _at_spike(self, t: Array) -> Array:
        # the signal lies between this step's carrier and the last one's; at `low` it is exact
        half = jnp.where(t % self.period_steps == 0, 0.0, 0.5)
        rise = (self.high - self.low) / (self.period_steps - 1)
        return self.carrier(t) - half * rise


@eqx.filter_jit
def _decoded(encoder: PulseWidthEncoder, spikes: Array) -> Array:
    dtype, fired = state_dtype(spikes), spikes > 0
    length = fired.shape[0]
    t = jnp.arange(length).reshape(-1, *(1,) * (fired.ndim - 1))
    t = jnp.broadcast_to(t, fired.shape)
    before = lax.cummax(jnp.where(fired, t, -1), axis=0)
    after = lax.cummin(jnp.where(fired, t, length), axis=0, reverse=True)
    # before the first and after the last spike, both are that spike
    some = (before >= 0) | (after < length)
    before, after = (
        jnp.where(before < 0, after, before),
        jnp.where(after == length, before, after),
    )
    share = (t - before).astype(dtype) / jnp.maximum(after - before, 1).astype(dtype)
    left, right = (encoder._at_spike(at).astype(dtype) for at in (before, after))
    middle = (encoder.low + encoder.high) / 2
    return jnp.where(some, left + share * (right - left), middle)
