"""Values as binary digits, one in each phase of a period."""

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Int, PRNGKeyArray

from .._adjust import DataRange
from .._types import as_spikes, positive_int, spike_dtype, state_dtype
from .base import AbstractUnitEncoder
from .rules import clip_unit, straight_through


class PhaseEncoder(AbstractUnitEncoder):
    r"""Encodes values in [0, 1] as their binary digits, one per step, repeated each period.

    A value is clipped to `1 − 2^-bits` and rounded down to `bits` digits. Step $t$ has the
    phase $k = t \bmod \text{bits}$, and fires if digit $k$ is 1. With the weights
    $w_k = 2^{-(k + 1)}$, the spikes of each period reconstruct the value:

    $$
    0 \le x - \sum_k w_k z_k \le 2^{-\text{bits}}
    $$

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import PhaseEncoder
    >>> PhaseEncoder(seq_length=6, bits=3)(jnp.array([0.625, 1.0])).T
    Array([[1., 0., 1., 1., 0., 1.],
           [1., 1., 1., 1., 1., 1.]], dtype=float32)

    ```

    **Arguments:**

    - `bits`: phases per period, from 1 to 24 (static).
    - `seq_length`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    Values outside [0, 1], infinities included, are clipped to it. **NaN** gives NaN.

    The step is an int32, so the phases slip after 2^31 steps if `bits` is no power of 2.

    **Derivative:** straight-through, since a digit has no derivative. In phase $k$ it is
    $w_k / \sum_j w_j^2$: of all derivatives for which the weighted sum of a period has the
    derivative 1 with respect to $x$, this is the smallest. Zero outside [0, 1]. In forward and
    reverse mode.

    Source: Kim, Kim, Huh, Lee & Choi, "Deep neural networks with weighted spikes",
    Neurocomputing 311 (2018).
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    bits: int = eqx.field(default=8, static=True, converter=positive_int("bits"))
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        if self.bits > 24:
            raise ValueError(
                f"`bits` must be at most 24, the precision of float32, got {self.bits}."
            )

    def at_rate(self, rate: float, dt: float, data: DataRange) -> "PhaseEncoder":
        """None: refused."""
        raise ValueError(
            "`PhaseEncoder` has no rate to calibrate: its spikes are the binary digits of the "
            "values, some half of them 1. Another number of `bits`, or a shorter `seq_length`, "
            "changes how many digits there are."
        )

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for values `x`; `key` is ignored."""
        x_ = clip_unit(x.astype(state_dtype(x)))
        levels = 2**self.bits
        digits = jnp.minimum((x_ * levels).astype(jnp.int32), levels - 1)
        phase = t % self.bits
        spikes = (digits >> (self.bits - 1 - phase)) & 1
        weight = jnp.exp2(-(phase + 1).astype(x_.dtype))
        norm = (1 - 4.0**-self.bits) / 3  # Σ_j w_j²
        spikes = straight_through(spikes.astype(x_.dtype), x_ * (weight / norm))
        return as_spikes(spikes, self.dtype or x.dtype)
