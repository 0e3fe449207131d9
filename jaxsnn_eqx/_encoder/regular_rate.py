"""Rates as evenly spaced spikes."""

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
    positive_int,
    positive_number,
    spike_dtype,
    state_dtype,
)
from .base import AbstractUnitEncoder, check_max_rate, rate_per_step
from .rules import clip_unit, straight_through


class RegularRateEncoder(AbstractUnitEncoder, AbstractTimed):
    r"""Encodes values in [0, 1] as the rates of evenly spaced spikes, without random numbers.

    With $p = x \, r_\text{max} \, dt$ and $r_\text{max}$ = `max_rate`, the spike at step $t$ is

    $$
    z_t = \lfloor (t + 1) p \rfloor - \lfloor t p \rfloor
    $$

    so that the first $t$ steps have exactly $\lfloor t p \rfloor$ spikes. $p$ is rounded to 32
    binary digits and the products are exact, so the count has no drift in long sequences. The
    floor is taken of $2^{-14}$ more, since values such as 0.7 are rounded: a rate of $k$ spikes
    in $n \le 1024$ steps gives $k$ spikes.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import RegularRateEncoder
    >>> RegularRateEncoder(seq_length=8, max_rate=500.0)(jnp.array([0.5, 1.0])).T
    Array([[0., 0., 0., 1., 0., 0., 0., 1.],
           [0., 1., 0., 1., 0., 1., 0., 1.]], dtype=float32)

    ```

    **Arguments:**

    - `max_rate`: rate of the value 1, in hertz. Positive, at most `1 / dt`, where 1 fires at
        every step. A number or tuple is fixed; a JAX array (a scalar, or of the values' shape)
        is trained.
    - `seq_length`, `dt`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    Values outside [0, 1], infinities included, are clipped to it; rates below `2^-33 / dt` are
    silent. **NaN** gives NaN.

    **Derivative:** that of the rate, `max_rate · dt` at every step, as `PoissonEncoder`'s; zero
    outside [0, 1]. In forward and reverse mode.

    Source: rate coding, Adrian & Zotterman, Journal of Physiology 61 (1926), without its noise.
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    max_rate: Constant = eqx.field(default=100.0, converter=constant("max_rate", positive=True))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        check_max_rate(self.max_rate, self.dt)

    def adjustment(self, data: DataRange) -> Adjustment:
        """`max_rate`, up to one spike a step."""
        return adjust(self, "max_rate", 1e-6 / self.dt, 1 / self.dt, rising=True)

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for values `x`; `key` is ignored."""
        x_ = clip_unit(x.astype(state_dtype(x)))
        p = x_ * rate_per_step(self.max_rate, self.dt, x_)
        # t · p modulo 1, in units of 2^-32: the integer overflows where the floor increases
        increment = jnp.round(p * 2.0**32).astype(jnp.uint32)
        after = (t.astype(jnp.uint32) + 1) * increment + jnp.uint32(2**18)
        spikes = ((after < increment) | (p >= 1)).astype(p.dtype)
        return as_spikes(straight_through(spikes, p), self.dtype or x.dtype)
