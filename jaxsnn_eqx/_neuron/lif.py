"""Leaky integrate-and-fire neurons with a current-based exponential synapse."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from .._membrane import decay, fire_and_reset, integrate_membrane
from .._parameters import AnyLIFParameters, LIFParameters, check_params, parameters_of
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    Sample,
    as_floating,
    as_spikes,
    checked,
    optional_positive_int,
    positive_number,
    real_number,
    spike_dtype,
)
from .base import AbstractNeuron, SynapticState


class RefractoryState(NamedTuple):
    """As `SynapticState`, with the steps that each neuron is still refractory for."""

    voltage: Float[Array, "*shape"]
    current: Float[Array, "*shape"]
    remaining: Float[Array, "*shape"]


class LIF(AbstractNeuron):
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

    - `soft_reset`: lowers v by `v_th − v_reset` at a spike instead of setting it to
        `v_reset`, so that what exceeded the threshold is kept (static).
    - `refractory`: refractory period in seconds (static), rounded to whole steps: for that long
        after a spike the potential is held and nothing fires, while the synapse goes on. At 0,
        the default, there is no such state.
    - `params`, `dt`, `surrogate`, `checkpoint_every`, `dtype`:
        [shared arguments][jaxsnn_eqx.AbstractLayer]. With a `LearnableLIFParameters` as
        `params` the constants are trained.

    **Derivative:** the surrogate's, through the spike and through the reset, in forward and
    reverse mode. **At the threshold** there is no spike. **NaN** gives NaN spikes from the
    next step on, and so does an **infinite** input from the second next.

    Source: `jaxsnn.discrete.functional.lif.lif_step` (jaxsnn 0.3.0); Pehle & Pedersen,
    Norse (2021).
    """

    params: AnyLIFParameters = eqx.field(
        default=LIFParameters(), converter=parameters_of("tau_mem", "tau_syn", "v_th")
    )
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)
    soft_reset: bool = eqx.field(default=False, static=True)
    refractory: float = eqx.field(default=0.0, static=True, converter=real_number("refractory"))

    def __check_init__(self):
        check_params(self.params, self.dt, "tau_mem", "tau_syn")
        if self.refractory < 0:
            raise ValueError(
                f"`refractory` must be at least 0, in seconds, got {self.refractory}."
            )

    @property
    def refractory_steps(self) -> int:
        """Whole steps in the refractory period."""
        return round(self.refractory / self.dt)

    @checked
    def init(self, x: Sample) -> SynapticState | RefractoryState:
        """Potentials and currents of 0 for an input like `x`, in float32 or wider."""
        state = SynapticState.zeros(x)
        if not self.refractory_steps:
            return state
        return RefractoryState(*state, state.voltage)

    @checked
    def step(
        self,
        state: SynapticState | RefractoryState,
        x: Sample,
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
        voltage = integrate_membrane(state.voltage, state.current, params, self.dt)
        voltage, spikes = fire_and_reset(
            voltage, params.v_th, params.v_reset, self.surrogate, soft=self.soft_reset
        )
        current = decay(state.current, "tau_syn", params.tau_syn, self.dt) + x.astype(
            state.current.dtype
        )
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
