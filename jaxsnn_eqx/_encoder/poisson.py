"""Rates as random spikes."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array, Int, PRNGKeyArray

from .._adjust import Adjustment, DataRange, adjust
from .._draws import bernoulli
from .._layer import AbstractTimed
from .._types import (
    Constant,
    as_spikes,
    constant,
    flag,
    optional_positive_int,
    positive_number,
    refuse_unsigned,
    spike_dtype,
    state_dtype,
)
from .base import AbstractUnitEncoder, check_max_rate, rate_per_step
from .rules import clip_range, straight_through


class PoissonEncoder(AbstractUnitEncoder, AbstractTimed):
    r"""Encodes values in [0, 1] as the rates of independent random spikes.

    At each step a value $x$ fires with the probability $p$, where $r_\text{max}$ = `max_rate`,

    $$
    p = x \, r_\text{max} \, dt
    $$

    independently of all other steps: the discrete form of a Poisson process. Step t uses the
    key `fold_in(key, t)`. With a `seq_length` the input is values; with `seq_length=None` it is
    a signal of shape `"time *shape"`, which sets the rate at each step.

    ```python
    >>> import jax, jax.numpy as jnp
    >>> from jaxsnn_eqx import PoissonEncoder
    >>> encoder = PoissonEncoder(seq_length=1000, max_rate=200.0)
    >>> spikes = encoder(jnp.array([0.0, 0.25, 1.0]), key=jax.random.key(0))
    >>> spikes.sum(axis=0)  # in one second
    Array([  0.,  48., 199.], dtype=float32)

    ```

    **Arguments:**

    - `seq_length`: number of steps, at least 1, or `None` for signals (static).
    - `max_rate`: rate of the value 1, in hertz. Positive, at most `1 / dt`, where 1 fires at
        every step. A number or tuple is fixed; a JAX array (a scalar, or of the values' shape)
        is trained.
    - `signed`: whether values may be in [−1, 1]; negative ones give spikes of −1 (static).
    - `dt`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer]. `dtype` must hold −1 if
        `signed`.

    Needs a `key` at every call. Values out of range, infinities included, are clipped to it.
    **0** never fires; with `max_rate · dt = 1`, **1** always does. **NaN** gives NaN.

    The probability is exact, although a draw has only 16 bits: see `_draws.bernoulli`.

    **Derivative:** that of the expectation, `max_rate · dt` at every step; zero for values out
    of range. In forward and reverse mode.

    **Raises:** `ValueError` without a `key`.

    Source: Dayan & Abbott, "Theoretical Neuroscience" (2001), section 1.4; Norse's
    `poisson_encode` and `signed_poisson_encode`.
    """

    seq_length: int | None = eqx.field(
        static=True, converter=optional_positive_int("seq_length")
    )
    max_rate: Constant = eqx.field(default=100.0, converter=constant("max_rate", positive=True))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    signed: bool = eqx.field(default=False, static=True, converter=flag("signed"))
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        check_max_rate(self.max_rate, self.dt)
        if self.signed:
            refuse_unsigned(self.dtype)

    @property
    def input_range(self) -> tuple[float, float]:
        """[0, 1], or [−1, 1] if it is signed; other values are clipped to it."""
        return (-1.0 if self.signed else 0.0), 1.0

    def adjustment(self, data: DataRange) -> Adjustment:
        """`max_rate`, up to one spike a step."""
        return adjust(self, "max_rate", 1e-6 / self.dt, 1 / self.dt, rising=True)

    def expected_spikes(self, x: Array) -> Array:
        """The probability of a spike at each step."""
        return jnp.abs(self._signed_chance(x))

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for values `x`."""
        if key is None:
            raise ValueError(
                "`key` must be given to `PoissonEncoder`, whose spikes are random: "
                "`encoder(x, key=jax.random.key(0))`."
            )
        p = self._signed_chance(x)
        spikes = jnp.sign(p) * bernoulli(jnp.abs(p), jr.fold_in(key, t)).astype(p.dtype)
        return as_spikes(straight_through(spikes, p), self.dtype or x.dtype)

    def _signed_chance(self, x: Array) -> Array:
        x_ = clip_range(x.astype(state_dtype(x)), *self.input_range)
        return x_ * rate_per_step(self.max_rate, self.dt, x_)
