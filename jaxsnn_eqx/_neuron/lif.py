"""Leaky integrate-and-fire neurons with a current-based exponential synapse."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from .._fields import (
    checkpoint_field,
    dt_field,
    dtype_field,
    params_field,
    surrogate_field,
)
from .._membrane import decay, fire_and_reset, integrate_membrane
from .._parameters import LIFParameters
from .._surrogate import AbstractSurrogate
from .._types import NestedNumbers, as_floating, as_spikes, checked, real_number
from .base import AbstractSynapticNeuron, SynapticState


class RefractoryState(NamedTuple):
    """As `SynapticState`, with the steps that each neuron is still refractory for."""

    voltage: Float[Array, "*shape"]
    current: Float[Array, "*shape"]
    remaining: Float[Array, "*shape"]


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
    - `soft_reset`: lowers v by `v_th − v_reset` at a spike instead of setting it to
        `v_reset`, so that what exceeded the threshold is kept (static).
    - `refractory`: refractory period in seconds (static), rounded to whole steps: for that long
        after a spike the potential is held and nothing fires, while the synapse goes on. At 0,
        the default, there is no such state.

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
    soft_reset: bool = eqx.field(default=False, static=True)
    refractory: float = eqx.field(default=0.0, static=True, converter=real_number("refractory"))

    def __check_init__(self):
        if self.refractory < 0:
            raise ValueError(
                f"`refractory` must be at least 0, in seconds, got {self.refractory}."
            )

    @property
    def refractory_steps(self) -> int:
        """Whole steps in the refractory period."""
        return round(self.refractory / self.dt)

    @checked
    def init(
        self, x: Shaped[ArrayLike, "*shape"] | NestedNumbers
    ) -> SynapticState | RefractoryState:
        """Potentials and currents of 0 for an input like `x`, in float32 or wider."""
        state = SynapticState.zeros(x)
        if not self.refractory_steps:
            return state
        return RefractoryState(*state, state.voltage)

    @checked
    def step(
        self,
        state: SynapticState | RefractoryState,
        x: Shaped[ArrayLike, "*shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[SynapticState | RefractoryState, Shaped[Array, "*shape"]]:
        """One step of the equations above.

        **Arguments:**

        - `state`: from `init`, or from the step before.
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
        voltage, spikes = fire_and_reset(
            voltage, params.v_th, params.v_reset, self.surrogate, soft=self.soft_reset
        )
        current = decay(state.current, params.tau_syn, self.dt) + x.astype(state.current.dtype)
        if isinstance(state, RefractoryState):
            held = state.remaining > 0
            voltage = jnp.where(held, state.voltage, voltage)
            spikes = jnp.where(held, 0, spikes)
            remaining = jnp.maximum(state.remaining - 1, 0)
            remaining = jnp.where(spikes > 0.5, self.refractory_steps, remaining)
            state = RefractoryState(voltage, current, remaining)
        else:
            state = SynapticState(voltage, current)
        return state, as_spikes(spikes, self.dtype or x.dtype)
