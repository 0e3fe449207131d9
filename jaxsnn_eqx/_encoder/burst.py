"""Values as bursts: larger values give more and closer spikes."""

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Int, PRNGKeyArray

from .._layer import AbstractTimed
from .._types import as_spikes, positive_int, positive_number, spike_dtype, state_dtype
from .base import AbstractUnitEncoder
from .rules import clip_unit, straight_through


class BurstEncoder(AbstractUnitEncoder, AbstractTimed):
    r"""Encodes each value in [0, 1] as a burst; larger values give more and closer spikes.

    The burst has $n$ spikes at the steps $0, i, 2i, \dots$ with

    $$
    n = \lceil n_\text{max} \, x \rceil, \quad
    i = \left\lceil \frac{t_\text{max} - (t_\text{max} - t_\text{min}) x}{dt} \right\rceil
    $$

    where `t_min` and `t_max` are rounded to whole steps. 0 is silent. Spikes beyond
    `seq_length` are left out.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import BurstEncoder
    >>> BurstEncoder(seq_length=10, n_max=4, t_max=5e-3)(jnp.array([0.5, 1.0])).T
    Array([[1., 0., 0., 0., 1., 0., 0., 0., 0., 0.],
           [1., 0., 1., 0., 1., 0., 1., 0., 0., 0.]], dtype=float32)

    ```

    **Arguments:**

    - `n_max`: number of spikes for the value 1, at least 1 (static).
    - `t_min`: interval between spikes for the value 1, in seconds (static). At least one step.
    - `t_max`: interval as the value approaches 0, in seconds (static). At least `t_min`.
    - `seq_length`, `dt`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    Values outside [0, 1], infinities included, are clipped to it. **NaN** gives NaN.

    **Derivative:** straight-through, since a count has no derivative: `n_max` at the step of
    the burst's last spike (at step 0 for the value 0), and 0 at the others, so that the
    derivative of the number of spikes is `n_max` where the burst fits. The change of the
    interval with x is left out. Zero outside [0, 1]. In forward and reverse mode.

    Source: Guo, Fouda, Eltawil & Salama, "Neural Coding in Spiking Neural Networks: A
    Comparative Study", Frontiers in Neuroscience 15 (2021), where `t_max` is the window.
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    n_max: int = eqx.field(default=5, static=True, converter=positive_int("n_max"))
    t_min: float = eqx.field(default=2e-3, static=True, converter=positive_number("t_min"))
    t_max: float = eqx.field(default=1.5e-2, static=True, converter=positive_number("t_max"))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        if not 1 <= round(self.t_min / self.dt) <= round(self.t_max / self.dt):
            raise ValueError(
                "`t_min` and `t_max` must satisfy dt <= t_min <= t_max (in seconds), got "
                f"t_min={self.t_min}, t_max={self.t_max} and dt={self.dt}."
            )

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for values `x`; `key` is ignored."""
        x_ = clip_unit(x.astype(state_dtype(x)))
        count_ = self.n_max * x_
        # values such as 7/13 are rounded: their products are whole up to this
        rounding = 2.0**-22
        count = jnp.ceil(count_ - self.n_max * rounding).astype(jnp.int32)
        count = jnp.maximum(count, (x_ > 0).astype(jnp.int32))
        longest, shortest = round(self.t_max / self.dt), round(self.t_min / self.dt)
        # XLA would fuse the product with the subtraction and round once, and `jit` would then
        # differ from eager calls
        shorter = lax.optimization_barrier((longest - shortest) * x_)
        interval = jnp.ceil(longest - shorter - longest * rounding).astype(jnp.int32)
        interval = jnp.maximum(interval, 1)  # a NaN becomes an integer that may be 0
        last = jnp.maximum(count, 1) - 1
        spikes = (t % interval == 0) & (t // interval < count)
        moves = jnp.where((t == last * interval) | jnp.isnan(x_), count_, 0)
        spikes = straight_through(spikes.astype(x_.dtype), moves)
        return as_spikes(spikes, self.dtype or x.dtype)
