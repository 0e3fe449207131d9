"""One spike per value, the earlier the stronger."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Int, PRNGKeyArray

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
from .base import AbstractStatelessEncoder
from .rules import clip_unit, spike_at
from .spatio_temporal import check_fits, position_in_window


def _optional_tau(tau: float | None) -> float | None:
    return None if tau is None else positive_number("tau")(tau)


class LatencyEncoder(AbstractStatelessEncoder, AbstractTimed):
    """Encodes each value in [0, 1] as one spike, the earlier the larger; the weak are silent.

    The spike time, rounded to whole steps, is

    - linear (`tau=None`): `t = t_late · (1 − x)`, so that 1 fires first, at 0;
    - logarithmic: `t = tau · ln(x / (x − threshold))`, when a membrane of time constant `tau`
        under the current x reaches `threshold`.

    A value at or below `threshold` never fires, nor one whose time is beyond `t_late`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LatencyEncoder
    >>> encoder = LatencyEncoder(seq_length=4, t_late=3e-3)
    >>> encoder(jnp.array([0.0, 0.4, 1.0]))
    Array([[0., 0., 1.],
           [0., 0., 0.],
           [0., 1., 0.],
           [0., 0., 0.]], dtype=float32)

    ```

    **Arguments:**

    - `t_late`: end of the window of spike times, in seconds (static). Positive, and its step
        `round(t_late / dt)` below `seq_length`.
    - `tau`: time constant of the logarithmic code in seconds, or `None` for the linear
        one (static). With `tau` much below `t_late` most values share the first few steps.
    - `threshold`: what a value must exceed to fire. A number or tuple is fixed, a JAX array
        (scalar, or of the values' shape) trainable. Positive in the logarithmic code.
    - `seq_length`, `dt`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    Values outside [0, 1], infinities included, are clipped to it; **NaN** gives NaN at every
    step.

    **Derivative:** that of `SpatioTemporalEncoder`, from the right, with respect to the
    position `t / dt` (−1 at step b = floor(t / dt), +1 at b + 1), times the formula's own
    derivative of t; zero for silent values and outside [0, 1]. In the linear code `threshold`
    has none. In forward and reverse mode.

    Source: Thorpe, Delorme & Van Rullen, "Spike-based strategies for rapid processing", Neural
    Networks 14 (2001); logarithmic: the solution of the leaky integrator, as in snnTorch's
    `spikegen.latency` (there normalised; here not, so that no value depends on another).
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    t_late: float = eqx.field(static=True, converter=positive_number("t_late"))
    tau: float | None = eqx.field(default=None, static=True, converter=_optional_tau)
    threshold: Constant = eqx.field(default=0.0, converter=constant("threshold"))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        check_fits(self.seq_length, self.t_late, self.dt)
        fixed = not isinstance(self.threshold, jax.Array)
        if self.tau is not None and fixed and np.min(self.threshold) <= 0:
            raise ValueError(
                "`threshold` must be positive in the logarithmic code (with `tau`), got "
                f"{self.threshold}: at 0 every value would fire at step 0."
            )

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for values `x`; `key` is ignored."""
        x_ = clip_unit(x.astype(state_dtype(x)))
        threshold = constant_like("threshold", self.threshold, x_)
        above = x_ - threshold
        fires = above > 0
        if self.tau is None:
            position = position_in_window(1 - x_, 0.0, self.t_late, self.dt)
        else:
            # a silent value's time is that of a value that fires: no infinity, no NaN
            ratio = jnp.where(fires, x_, 1) / jnp.where(fires, above, 1)
            position = jnp.log(ratio) * (self.tau / self.dt)
            fires &= position <= self.t_late / self.dt
        spikes = jnp.where(fires, spike_at(self.seq_length, position, t), 0)
        return as_spikes(jnp.where(jnp.isnan(x_), x_, spikes), self.dtype or x.dtype)
