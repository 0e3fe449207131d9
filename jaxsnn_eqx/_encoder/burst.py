"""Values as bursts: more spikes, and faster, as they grow."""

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Int, PRNGKeyArray

from .._layer import AbstractTimed
from .._types import as_spikes, positive_int, positive_number, spike_dtype, state_dtype
from .base import AbstractStatelessEncoder
from .rules import clip_unit, straight_through


class BurstEncoder(AbstractStatelessEncoder, AbstractTimed):
    """Encodes values in [0, 1] as one burst each, of more and closer spikes as they grow.

    The burst has `n = ceil(n_max · x)` spikes, at steps `0, i, 2·i, …` with the interval
    `i = ceil((t_max − (t_max − t_min) · x) / dt)`, where `t_min` and `t_max` are rounded to
    whole steps. 0 is silent; what does not fit in `seq_length` is cut off.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import BurstEncoder
    >>> BurstEncoder(seq_length=10, n_max=4, t_max=5e-3)(jnp.array([0.5, 1.0])).T
    Array([[1., 0., 0., 0., 1., 0., 0., 0., 0., 0.],
           [1., 0., 1., 0., 1., 0., 1., 0., 0., 0.]], dtype=float32)

    ```

    **Arguments:**

    - `n_max`: spikes of the value 1, at least 1 (static).
    - `t_min`: interval between the spikes of the value 1, in seconds (static). At least one
        step.
    - `t_max`: interval as the value goes to 0, in seconds (static). At least `t_min`.
    - `seq_length`, `dt`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    Values outside [0, 1], infinities included, are clipped to it. **NaN** gives NaN.

    **Derivative:** straight-through, since a count has none: `n_max` at the step of the burst's
    last spike (at step 0 for the value 0), as though it came gradually; that the interval moves
    with x is left out. So `Σ_t d z_t / d x = n_max` where the burst fits. Zero outside [0, 1].
    In forward and reverse mode.

    Source: Guo, Fouda, Eltawil & Salama, "Neural Coding in Spiking Neural Networks: A
    Comparative Study", Frontiers in Neuroscience 15 (2021), whose `t_max` is the window.
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
        count = jnp.ceil(count_).astype(jnp.int32)
        longest, shortest = round(self.t_max / self.dt), round(self.t_min / self.dt)
        # no multiplication fused with a subtraction: jit and eager agree
        shorter = lax.optimization_barrier((longest - shortest) * x_)
        interval = jnp.ceil(longest - shorter).astype(jnp.int32)
        interval = jnp.maximum(interval, 1)  # for NaN
        last = jnp.maximum(count, 1) - 1
        spikes = (t % interval == 0) & (t // interval < count)
        moves = jnp.where((t == last * interval) | jnp.isnan(x_), count_, 0)
        spikes = straight_through(spikes.astype(x_.dtype), moves)
        return as_spikes(spikes, self.dtype or x.dtype)
