"""Leaky integrate-and-fire neurons with a current-based exponential synapse."""

from typing import Any

from jaxtyping import Array, ArrayLike, PRNGKeyArray, Shaped

from .._fields import (
    checkpoint_field,
    dt_field,
    dtype_field,
    params_field,
    surrogate_field,
)
from .._membrane import decay_synapse, fire_and_reset, integrate_membrane
from .._parameters import LIFParameters
from .._surrogate import AbstractSurrogate
from .._types import NestedNumbers, as_floating, as_spikes, checked
from .base import AbstractSynapticNeuron, SynapticState


class LIF(AbstractSynapticNeuron):
    """Leaky integrate-and-fire neurons: input currents to spikes.

    At every step, in this order (integrate, fire, reset, then add the input), from
    `v = i = 0`:

        v <- v + dt / tau_mem · ((v_leak − v) + i)
        z <- 1 if v > v_th else 0
        v <- v − z · (v − v_reset)
        i <- i − dt / tau_syn · i + x

    So the input of a step moves the membrane from the next step on.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LIF
    >>> LIF()(jnp.array([[8.0], [0.0], [0.0]])).ravel()
    Array([0., 1., 1.], dtype=float32)

    ```

    **Arguments:**

    - `params`: the neurons' `LIFParameters` (static).
    - `dt`: length of a step in seconds (static). Positive, at most `tau_mem` and `tau_syn`.
    - `surrogate`: the spike and its derivative, an `AbstractSurrogate`.
    - `checkpoint_every`: steps between the states kept for the reverse pass (static); see
        `integrate`, which also gives the default.
    - `dtype`: dtype of the spikes (static); by default the floating dtype of the input.
        Through boolean and integer spikes all gradients are zero.

    Changing a static argument recompiles.

    **Derivative:** the surrogate's, through the spike and through the reset, in forward and
    reverse mode. **At the threshold** there is no spike. **NaN** gives NaN spikes from the
    next step on (False or 0 in boolean and integer dtypes), and so does an **infinite**
    input from the second next.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: `jaxsnn.discrete.functional.lif.lif_step` (jaxsnn 0.3.0); Pehle & Pedersen,
    Norse (2021).
    """

    params: LIFParameters = params_field()
    dt: float = dt_field()
    surrogate: AbstractSurrogate = surrogate_field()
    checkpoint_every: int | None = checkpoint_field()
    dtype: Any = dtype_field()

    @checked
    def step(
        self,
        state: SynapticState,
        x: Shaped[ArrayLike, "*shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[SynapticState, Shaped[Array, "*shape"]]:
        """One step of the equations above.

        **Arguments:**

        - `state`: potentials and currents, a `SynapticState`.
        - `x`: the input current of this step (dimensionless), of shape `"*shape"`.
        - `key`: ignored. (Keyword only.)

        **Returns:**

        `(state, spikes)`.
        """
        x = as_floating(x)
        params = self.params
        voltage = integrate_membrane(
            state.voltage, state.current, params.tau_mem, params.v_leak, self.dt
        )
        voltage, spikes = fire_and_reset(voltage, params.v_th, params.v_reset, self.surrogate)
        current = decay_synapse(state.current, params.tau_syn, self.dt)
        state = SynapticState(voltage, current + x.astype(current.dtype))
        return state, as_spikes(spikes, self.dtype or x.dtype)
