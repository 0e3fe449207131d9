"""The first spike of a LIF neuron with a constant input current."""

import math
from typing import NamedTuple

import equinox as eqx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from .._layer import AbstractTimed
from .._membrane import lif_step
from .._parameters import LIFParameters, as_parameters, check_dt, rheobase
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    First,
    Sample,
    as_first,
    as_floating,
    as_spikes,
    checked,
    flag,
    optional_positive_int,
    positive_int,
    positive_number,
    spike_dtype,
    zero_state,
)
from .base import AbstractValueEncoder


class FirstSpikeState(NamedTuple):
    """Membrane potential, and 1 where no spike has come yet, each of shape `"*shape"`."""

    potential: Float[Array, "*shape"]
    waiting: Float[Array, "*shape"]


class LIFLatencyEncoder(AbstractValueEncoder, AbstractTimed):
    r"""Encodes each value as the first spike of a LIF neuron with the value as input current.

    A `ConstantCurrentLIFEncoder` that is silent after its first spike. Each step updates the
    potential $v$, which starts at 0, and $w$, which starts at 1, in this order:

    $$
    \begin{split}
    v &\leftarrow v + \frac{dt}{\tau_\text{mem}} ((v_\text{leak} - v) + x) \\
    z &\leftarrow 1 \text{ if } v > v_\text{th} \text{, else } 0 \\
    v &\leftarrow v - z (v - v_\text{reset}) \\
    \text{out} &\leftarrow w z \\
    w &\leftarrow w (1 - z)
    \end{split}
    $$

    A value at or below `v_th − v_leak` never fires. Above it, larger values fire earlier.
    Values of several times the threshold share the first few steps: scale them down, or use a
    shorter `dt`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LIFLatencyEncoder
    >>> LIFLatencyEncoder(seq_length=5)(jnp.array([0.5, 2.0, 4.0])).T
    Array([[0., 0., 0., 0., 0.],
           [0., 0., 0., 1., 0.],
           [0., 1., 0., 0., 0.]], dtype=float32)

    ```

    **Arguments:**

    - `seq_length`, `params`, `dt`, `surrogate`, `checkpoint_every`, `dtype`:
        [shared arguments][jaxsnn_eqx.AbstractLayer]. `tau_syn` is not used, since the input is
        the current itself.
    - `detach_reset`: leaves the reset out of the derivative (static), as in
        [`LIF`][jaxsnn_eqx.LIF].

    **Derivative:** the surrogate's, through the spike, the reset unless it is detached, and the
    silence that follows, in forward and reverse mode. **Threshold, NaN and infinities:** as
    `ConstantCurrentLIFEncoder`.

    Source: Norse's `spike_latency_lif_encode`, whose mask has no derivative.
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
    def init(self, x: First) -> FirstSpikeState:
        """Potentials of 0 and no spike yet, for values like `x`, in float32 or wider."""
        zeros = zero_state(as_first(x))
        return FirstSpikeState(zeros, zeros + 1)

    @checked
    def step(
        self,
        state: FirstSpikeState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[FirstSpikeState, Shaped[Array, "*shape"]]:
        """One step of the equations above: `(state, spikes)`; `key` is ignored."""
        x = as_floating(x)
        current = x.astype(state.potential.dtype)
        potential, spikes = lif_step(
            state.potential,
            current,
            self.params,
            self.dt,
            self.surrogate,
            detach=self.detach_reset,
        )
        first = state.waiting * spikes
        state = FirstSpikeState(potential, state.waiting * (1 - spikes))
        return state, as_spikes(first, self.dtype or x.dtype)
