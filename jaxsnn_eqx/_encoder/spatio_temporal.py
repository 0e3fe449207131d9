"""One spike per value, at a time that is linear in the value."""

import equinox as eqx
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Int, PRNGKeyArray

from .._adjust import DataRange
from .._layer import AbstractTimed
from .._types import (
    as_spikes,
    positive_int,
    positive_number,
    real_number,
    spike_dtype,
    state_dtype,
)
from .base import AbstractUnitEncoder
from .rules import clip_unit, spike_at


def position_in_window(x: Array, t_early: float, t_late: float, dt: float) -> Array:
    """The time `t_early + x · (t_late − t_early)` in units of `dt`, in float32 or wider."""
    # The factor is one Python float, rounded once. XLA would fuse the product with the addition
    # and round once, and `jit` would then differ from eager calls.
    shift = x.astype(state_dtype(x)) * ((t_late - t_early) / dt)
    return lax.optimization_barrier(shift) + t_early / dt if t_early else shift


class SpatioTemporalEncoder(AbstractUnitEncoder, AbstractTimed):
    r"""Encodes each coordinate in [0, 1] as one spike; larger values fire later.

    The spike time is

    $$
    t = t_\text{early} + x (t_\text{late} - t_\text{early})
    $$

    and its step is `round(t / dt)` (ties to the even step). 0 fires first and 1 last; each
    value fires exactly once.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import SpatioTemporalEncoder
    >>> encoder = SpatioTemporalEncoder(seq_length=4, t_late=3e-3)
    >>> encoder(jnp.array([0.0, 0.3, 1.0]))
    Array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 0.],
           [0., 0., 1.]], dtype=float32)

    ```

    **Arguments:**

    - `t_late`: time of the spike of 1, in seconds (static). Above `t_early`, and its step
        `round(t_late / dt)` below `seq_length`.
    - `t_early`: time of the spike of 0, in seconds (static). At least 0.
    - `seq_length`, `dt`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    With mirrored coordinates (both x and 1 − x), a window of a whole number of steps and a half
    puts the spikes of 1 − x between those of x, which doubles the resolution.

    Values outside [0, 1], infinities included, are clipped to it; **NaN** gives NaN at every
    step.

    **Derivative:** that of the linear (hat) kernel, from the right. With respect to the
    position `p = t / dt` it is −1 at step `b = min(floor(p), seq_length − 2)` and +1 at step b
    + 1, so that the derivative of the spike's step is 1. It is zero for x outside [0, 1], and
    not reduced at 0 and 1. In forward and reverse mode.

    Source: `jaxsnn.discrete.encode.spatio_temporal_encode` (jaxsnn 0.3.0), whose documentation
    has the argument `t_early`, which the code lacks.
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    t_late: float = eqx.field(static=True, converter=real_number("t_late"))
    t_early: float = eqx.field(default=0.0, static=True, converter=real_number("t_early"))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        check_window(self.t_early, self.t_late)
        check_fits(self.seq_length, self.t_late, self.dt)

    def at_rate(self, rate: float, dt: float, data: DataRange) -> "SpatioTemporalEncoder":
        """The same with a window of another length, since each value fires once."""
        steps = max(round(1 / (rate * dt)), 2)
        early, late = (t * steps / self.seq_length for t in (self.t_early, self.t_late))
        late = min(late, (steps - 1) * dt)
        return SpatioTemporalEncoder(steps, late, min(early, late / 2), self.dt, self.dtype)

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for coordinates `x`; `key` is ignored."""
        position = position_in_window(clip_unit(x), self.t_early, self.t_late, self.dt)
        spikes = spike_at(self.seq_length, position, t)
        return as_spikes(spikes, self.dtype or x.dtype)


def check_window(t_early: float, t_late: float) -> None:
    """Refuses a window of spike times that starts before 0 or does not end after its start."""
    if not 0 <= t_early < t_late:
        raise ValueError(
            "`t_early` and `t_late` must satisfy 0 <= t_early < t_late (in seconds), got "
            f"t_early={t_early} and t_late={t_late}."
        )


def check_fits(seq_length: int, t_late: float, dt: float) -> None:
    """Refuses a window of spike times that does not fit in `seq_length` steps."""
    last = round(t_late / dt)
    if last >= seq_length:
        raise ValueError(
            f"`t_late`={t_late} s falls in step {last} at dt={dt} s, outside "
            f"the window of `seq_length`={seq_length} steps (0 to "
            f"{seq_length - 1}): raise `seq_length` above {last} or lower `t_late`."
        )
