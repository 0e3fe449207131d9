"""The first spike of a LIF neuron under a held current."""

from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from .._fields import (
    checkpoint_field,
    dt_field,
    dtype_field,
    params_field,
    surrogate_field,
)
from .._layer import AbstractMembrane
from .._membrane import fire_and_reset, integrate_membrane
from .._parameters import LIFParameters, check_dt
from .._surrogate import AbstractSurrogate
from .._types import (
    NestedNumbers,
    as_floating,
    as_spikes,
    checked,
    positive_int,
    zero_state,
)
from .base import AbstractHeldEncoder


class FirstSpikeState(NamedTuple):
    """Membrane potential, and 1 where no spike has come yet, each of shape `"*shape"`."""

    voltage: Float[Array, "*shape"]
    waiting: Float[Array, "*shape"]


class LIFLatencyEncoder(AbstractHeldEncoder, AbstractMembrane):
    """Encodes each value as the first spike of a LIF neuron that it drives: time to spike.

    `ConstantCurrentLIFEncoder`, silent after its first spike. At every step, in this order,
    from `v = 0` and `w = 1`:

        v <- v + dt / tau_mem · ((v_leak − v) + x)
        z <- 1 if v > v_th else 0
        v <- v − z · (v − v_reset)
        out <- w · z
        w <- w · (1 − z)

    A value at or below `v_th − v_leak` never fires; above it, the larger the earlier. Values
    of several thresholds share the first few steps: scale them, or take a shorter `dt`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LIFLatencyEncoder
    >>> LIFLatencyEncoder(seq_length=5)(jnp.array([0.5, 2.0, 4.0])).T
    Array([[0., 0., 0., 0., 0.],
           [0., 0., 0., 1., 0.],
           [0., 1., 0., 0., 0.]], dtype=float32)

    ```

    **Arguments:**

    - `seq_length`: number of steps, at least 1 (static).
    - `params`: the neuron's `LIFParameters` (static); `tau_syn` is not used, since the
        input is the current itself.
    - `dt`: length of a step in seconds (static). Positive and at most `tau_mem`.
    - `surrogate`: the spike and its derivative, an `AbstractSurrogate`.
    - `checkpoint_every`: steps between the states kept for the reverse pass (static); see
        `integrate`, which also gives the default.
    - `dtype`: dtype of the spikes (static); by default the floating dtype of the input.
        Through boolean and integer spikes all gradients are zero.

    Changing a static argument recompiles.

    **Derivative:** the surrogate's, through the spike, the reset, and the silence that follows,
    in forward and reverse mode. **Threshold, NaN and infinities:** as
    `ConstantCurrentLIFEncoder`.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: Norse's `spike_latency_lif_encode`, whose mask has no derivative.
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    params: LIFParameters = params_field()
    dt: float = dt_field()
    surrogate: AbstractSurrogate = surrogate_field()
    checkpoint_every: int | None = checkpoint_field()
    dtype: Any = dtype_field()

    def __check_init__(self):
        check_dt(self.dt, tau_mem=self.params.tau_mem)

    @checked
    def init(self, x: Shaped[ArrayLike, "*shape"] | NestedNumbers) -> FirstSpikeState:
        """Voltages of 0, all waiting, for values like `x`, in float32 or wider."""
        zeros = zero_state(as_floating(x))
        return FirstSpikeState(zeros, zeros + 1)

    @checked
    def step(
        self,
        state: FirstSpikeState,
        x: Shaped[ArrayLike, "*shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[FirstSpikeState, Shaped[Array, "*shape"]]:
        """One step of the equations above: `(state, spikes)`; `key` is ignored."""
        x = as_floating(x)
        params = self.params
        voltage = integrate_membrane(
            state.voltage,
            x.astype(state.voltage.dtype),
            params.tau_mem,
            params.v_leak,
            self.dt,
        )
        voltage, spikes = fire_and_reset(voltage, params.v_th, params.v_reset, self.surrogate)
        first = state.waiting * spikes
        state = FirstSpikeState(voltage, state.waiting * (1 - spikes))
        return state, as_spikes(first, self.dtype or x.dtype)

    def voltage(self, state: FirstSpikeState) -> Array:
        """The membrane potential, after the reset."""
        return state.voltage
