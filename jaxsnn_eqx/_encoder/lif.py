"""Leaky integrate-and-fire encoders: of a constant current, and of a time-varying one."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from .._layer import AbstractTimed
from .._membrane import lif_step
from .._parameters import LIFParameters, as_parameters, check_dt, rheobase
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    First,
    Sample,
    Signal,
    as_first,
    as_floating,
    as_wide,
    checked,
    flag,
    optional_positive_int,
    positive_int,
    positive_number,
    spike_dtype,
    zero_state,
)
from .base import AbstractSignalEncoder, AbstractValueEncoder
from .time_decoding import check_density, decode_spike_times


class ConstantCurrentLIFEncoder(AbstractValueEncoder, AbstractTimed):
    r"""Encodes each value as the spikes of a LIF neuron with that constant input current.

    Each step updates the potential $v$, which starts at 0, in this order:

    $$
    \begin{split}
    v &\leftarrow v + \frac{dt}{\tau_\text{mem}} ((v_\text{leak} - v) + x) \\
    z &\leftarrow 1 \text{ if } v > v_\text{th} \text{, else } 0 \\
    v &\leftarrow v - z (v - v_\text{reset})
    \end{split}
    $$

    A value at or below `v_th − v_leak` never fires. Above it, larger values give more spikes,
    up to one per step (for `x > v_th · tau_mem / dt`, with `v_leak` and `v_reset` 0).

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import ConstantCurrentLIFEncoder, LIFParameters
    >>> encoder = ConstantCurrentLIFEncoder(seq_length=2, params=LIFParameters(v_th=1.0))
    >>> encoder(jnp.array([2, 4, 8, 16]))
    Array([[0., 0., 0., 1.],
           [0., 0., 1., 1.]], dtype=float32)

    ```

    **Arguments:**

    - `seq_length`, `params`, `dt`, `surrogate`, `checkpoint_every`, `dtype`:
        [shared arguments][jaxsnn_eqx.AbstractLayer]. `tau_syn` is not used, since the input is
        the current itself.
    - `detach_reset`: leaves the reset out of the derivative (static), as in
        [`LIF`][jaxsnn_eqx.LIF].

    **Derivative:** the surrogate's, through the spike and, unless it is detached, through the
    reset, in forward and reverse mode. **At the threshold** (`v == v_th`) there is no spike.
    **NaN** gives NaN spikes from the first step on, and an **infinite** value from the second
    step on.

    Source: `jaxsnn.discrete.encode.constant_current_lif_encode` (jaxsnn 0.3.0); Norse's
    `constant_current_lif_encode`.
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    params: LIFParameters = eqx.field(
        default=LIFParameters(), static=True, converter=as_parameters
    )
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)
    detach_reset: bool = eqx.field(default=False, static=True, converter=flag("detach_reset"))

    def __check_init__(self):
        check_dt(self.dt, tau_mem=self.params.tau_mem)

    @property
    def input_range(self) -> tuple[float, float]:
        """From the smallest constant current that fires."""
        return rheobase(self.params), math.inf

    @checked
    def init(self, x: First) -> Float[Array, "*shape"]:
        """Potentials of 0 for values like `x`, in float32 or wider."""
        return zero_state(as_first(x))

    @checked
    def step(
        self, state: Float[Array, "*shape"], x: Sample, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, "*shape"], Shaped[Array, "*shape"]]:
        """One step: `(potential, spikes)`, after the reset; `key` is ignored."""
        return _step(self, state, as_floating(x))


class LIFCurrentEncoder(AbstractSignalEncoder, AbstractTimed):
    """Encodes a signal as the spikes of LIF neurons with the signal as input current.

    The equations are those of `ConstantCurrentLIFEncoder`, with an input that varies: `step` is
    one Euler step, as jaxsnn's `lif_current_encoder`, and the call encodes a current of shape
    `"time *shape"`, from a potential of 0.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LIFCurrentEncoder
    >>> encoder = LIFCurrentEncoder()
    >>> potential, spikes = encoder.step(jnp.array([0.0, 0.55]), jnp.array([2.0, 2.0]))
    >>> potential, spikes
    (Array([0.2, 0. ], dtype=float32), Array([0., 1.], dtype=float32))
    >>> encoder(jnp.full((4, 1), 2.0)).ravel()
    Array([0., 0., 0., 1.], dtype=float32)

    ```

    **Arguments:**

    - `params`, `dt`, `surrogate`, `checkpoint_every`, `dtype`:
        [shared arguments][jaxsnn_eqx.AbstractLayer]. `tau_syn` is not used, since the input is
        the current itself.
    - `detach_reset`: leaves the reset out of the derivative (static), as in
        [`LIF`][jaxsnn_eqx.LIF].

    `decode(spikes, bandwidth)` inverts the encoding of a signal without frequencies above
    `bandwidth`, if it fires often enough (a time encoding machine): exact but for the
    rounding of spike times to steps, so a shorter `dt` gives more decibels.

    **Derivative, threshold, NaN and infinities:** as `ConstantCurrentLIFEncoder`.

    Source: `jaxsnn.discrete.encode.lif_current_encoder` (jaxsnn 0.3.0); decoding: Lazar & Tóth,
    "Perfect recovery and sensitivity analysis of time encoded bandlimited signals", IEEE
    Transactions on Circuits and Systems I 51 (2004), with the leak of Lazar (2004).
    """

    params: LIFParameters = eqx.field(
        default=LIFParameters(), static=True, converter=as_parameters
    )
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)
    detach_reset: bool = eqx.field(default=False, static=True, converter=flag("detach_reset"))

    def __check_init__(self):
        check_dt(self.dt, tau_mem=self.params.tau_mem)

    @property
    def input_range(self) -> tuple[float, float]:
        """From the smallest constant current that fires."""
        return rheobase(self.params), math.inf

    @checked
    def init(self, x: First) -> Float[Array, "*shape"]:
        """Potentials of 0 for currents like `x`, in float32 or wider."""
        return zero_state(as_first(x))

    @checked
    def step(
        self, state: Float[Array, "*shape"], x: Sample, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, "*shape"], Shaped[Array, "*shape"]]:
        """One step: `(potential, spikes)`, after the reset; `key` is ignored."""
        return _step(self, state, as_floating(x))

    @checked
    def decode(self, spikes: Signal, bandwidth: float) -> Float[Array, "time *shape"]:
        """The signal without frequencies above `bandwidth` that gives these spikes.

        Computed by NumPy in float64: not under `jax.jit`, and without a derivative.

        ```python
        >>> import jax.numpy as jnp
        >>> from jaxsnn_eqx import LIFCurrentEncoder
        >>> encoder = LIFCurrentEncoder(dt=1e-4)
        >>> signal = 3 + jnp.sin(2 * jnp.pi * 5 * jnp.linspace(0.0, 1.0, 10_000))
        >>> spikes = encoder(signal)
        >>> error = encoder.decode(spikes, bandwidth=10.0) - signal
        >>> float(spikes.sum()), bool(jnp.abs(error).max() < 0.05)
        (439.0, True)

        ```

        **Arguments:**

        - `spikes`: of shape `"time *shape"`.
        - `bandwidth`: in hertz, positive. No interval between spikes, from the start to the
            first and from the last to the end included, may be `1 / (2 * bandwidth)` seconds or
            longer.

        **Raises:** `ValueError` for spikes that are too few for the bandwidth, and says by how
        much.
        """
        bandwidth = positive_number("bandwidth")(bandwidth)
        if isinstance(spikes, Tracer):
            raise ValueError("`decode` needs spikes that are known: call it outside of `jit`.")
        dtype = as_wide(spikes).dtype
        trains = np.asarray(spikes)
        if np.isnan(trains.astype(float)).any():
            raise ValueError("`spikes` must not be NaN.")
        flat = trains.reshape(len(trains), -1) != 0
        check_density(flat, self.dt, bandwidth)
        decoded = decode_spike_times(flat, self.params, self.dt, bandwidth)
        return jnp.asarray(decoded.reshape(trains.shape), dtype)


def _step(
    encoder: ConstantCurrentLIFEncoder | LIFCurrentEncoder, potential: Array, x: Array
) -> tuple[Array, Array]:
    return lif_step(
        potential,
        x.astype(potential.dtype),
        encoder.params,
        encoder.dt,
        encoder.surrogate,
        detach=encoder.detach_reset,
        dtype=encoder.dtype or x.dtype,
    )
