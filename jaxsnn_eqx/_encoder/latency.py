"""One spike per value; larger values fire earlier."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
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
from .spatio_temporal import check_fits, position_in_window


def _optional_tau(tau: float | None) -> float | None:
    return None if tau is None else positive_number("tau")(tau)


class LatencyEncoder(AbstractUnitEncoder, AbstractTimed):
    r"""Encodes each value in [0, 1] as one spike; larger values fire earlier, small ones never.

    The spike time, rounded to whole steps, is linear in the value with `tau=None`,

    $$
    t = t_\text{late} (1 - x)
    $$

    and otherwise the time at which a membrane with the time constant $\tau$ and the input
    current $x$ reaches $\theta$ = `threshold`:

    $$
    t = \tau \ln \frac{x}{x - \theta}
    $$

    A value at or below `threshold` never fires. A value whose time is after `t_late` does not
    fire either.

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
    - `tau`: time constant of the logarithmic encoding in seconds, or `None` for the linear
        one (static). With `tau` much below `t_late` most values share the first few steps.
    - `threshold`: values at or below it are silent. A number or tuple is fixed; a JAX array
        (a scalar, or of the values' shape) is trained. Positive in the logarithmic encoding.
    - `seq_length`, `dt`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    Values outside [0, 1], infinities included, are clipped to it; **NaN** gives NaN at every
    step.

    **Derivative:** that of `SpatioTemporalEncoder` with respect to the position `t / dt` (−1 at
    step b = floor(t / dt), +1 at step b + 1), times the derivative of the formula; zero for
    silent values and outside [0, 1]. In the linear encoding it is zero with respect to
    `threshold`. In forward and reverse mode.

    Source: Thorpe, Delorme & Van Rullen, "Spike-based strategies for rapid processing", Neural
    Networks 14 (2001); logarithmic: the solution of the leaky integrator, as in snnTorch's
    `spikegen.latency`, but not normalised, so that no value depends on another.
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
                "`threshold` must be positive in the logarithmic encoding (with `tau`), got "
                f"{self.threshold}: at 0 every value would fire at step 0."
            )

    def adjustment(self, data: DataRange) -> Adjustment:
        """The threshold, and so the share of silent values."""
        return adjust(self, "threshold", 0.0 if self.tau is None else 1e-6, 1.0)

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for values `x`; `key` is ignored."""
        x_ = clip_unit(x.astype(state_dtype(x)))
        threshold = constant_like("threshold", self.threshold, x_)
        above = x_ - threshold
        silent = above <= 0  # false for NaN, whose position is NaN
        if self.tau is None:
            position = position_in_window(1 - x_, 0.0, self.t_late, self.dt)
        else:
            # the logarithm of a silent value may be infinite or NaN, so its ratio is set to 1
            ratio = jnp.where(silent, 1, x_) / jnp.where(silent, 1, above)
            position = jnp.log(ratio) * (self.tau / self.dt)
            silent |= position > self.t_late / self.dt
        spikes = jnp.where(silent, 0, spike_at(self.seq_length, position, t))
        return as_spikes(spikes, self.dtype or x.dtype)
