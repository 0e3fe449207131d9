"""LIF neurons with an adaptive threshold."""

from typing import NamedTuple

import equinox as eqx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from .._membrane import decay, fire_and_reset, integrate_membrane
from .._parameters import (
    AnyLIFParameters,
    LIFParameters,
    check_dt,
    check_params,
    parameters_of,
)
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    Constant,
    Sample,
    as_floating,
    as_spikes,
    checked,
    constant,
    constant_like,
    optional_positive_int,
    positive_number,
    spike_dtype,
    zero_state,
)
from .base import AbstractNeuron


class AdaptiveState(NamedTuple):
    """Membrane potential, synaptic current and adaptation, each of shape `"*shape"`."""

    voltage: Float[Array, "*shape"]
    current: Float[Array, "*shape"]
    adaptation: Float[Array, "*shape"]


class ALIF(AbstractNeuron):
    """LIF neurons whose threshold rises with every spike and decays slowly: memory.

    At every step, in this order (as `LIF`, and the adaptation last), from `v = i = a = 0`:

        v <- v + dt / tau_mem · ((v_leak − v) + i)
        z <- 1 if v > v_th + beta · a else 0
        v <- v − z · (v − v_reset)
        i <- i − dt / tau_syn · i + x
        a <- a − dt / tau_adapt · a + z

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import ALIF, LIF
    >>> currents = jnp.full((60,), 0.5)
    >>> float(LIF()(currents).sum()), float(ALIF(beta=0.5)(currents).sum())
    (18.0, 4.0)

    ```

    **Arguments:**

    - `tau_adapt`: time constant of the adaptation, in seconds (static). At least `dt`.
    - `beta`: by how much a spike raises the threshold, dimensionless. A number or tuple is
        fixed, a JAX array (scalar, or one per neuron) trainable.
    - `params`, `dt`, `surrogate`, `checkpoint_every`, `dtype`:
        [shared arguments][jaxsnn_eqx.AbstractLayer]. With a `LearnableLIFParameters` as
        `params` the constants are trained.

    **Derivative:** the surrogate's, through the spike, the reset and the adaptation, with
    respect to the input and `beta`, in forward and reverse mode. **Threshold, NaN and
    infinities:** as `LIF`.

    Source: Bellec et al., "A solution to the learning dilemma for recurrent networks of spiking
    neurons", Nature Communications 11 (2020), equations 6 to 8, with this family's reset and
    synapse.
    """

    params: AnyLIFParameters = eqx.field(
        default=LIFParameters(), converter=parameters_of("tau_mem", "tau_syn", "v_th")
    )
    tau_adapt: float = eqx.field(
        default=0.2, static=True, converter=positive_number("tau_adapt")
    )
    beta: Constant = eqx.field(default=0.18, converter=constant("beta"))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        check_params(self.params, self.dt, "tau_mem", "tau_syn")
        check_dt(self.dt, tau_adapt=self.tau_adapt)

    @checked
    def init(self, x: Sample) -> AdaptiveState:
        """Potentials, currents and adaptations of 0 for an input like `x`."""
        zeros = zero_state(as_floating(x))
        return AdaptiveState(zeros, zeros, zeros)

    @checked
    def step(
        self,
        state: AdaptiveState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[AdaptiveState, Shaped[Array, "*shape"]]:
        """One step of the equations above: `(state, spikes)`.

        **Arguments:**

        - `state`: from `init`, or from the step before.
        - `x`: the input current of this step (dimensionless), of shape `"*shape"`.
        - `key`: ignored. (Keyword only.)
        """
        x = as_floating(x)
        params = self.params
        v_th = constant_like("v_th", params.v_th, state.voltage)
        v_th = v_th + constant_like("beta", self.beta, state.voltage) * state.adaptation
        voltage = integrate_membrane(state.voltage, state.current, params, self.dt)
        voltage, spikes = fire_and_reset(voltage, v_th, params.v_reset, self.surrogate)
        current = decay(state.current, "tau_syn", params.tau_syn, self.dt) + x.astype(
            state.current.dtype
        )
        adaptation = decay(state.adaptation, "tau_adapt", self.tau_adapt, self.dt) + spikes
        state = AdaptiveState(voltage, current, adaptation)
        return state, as_spikes(spikes, self.dtype or x.dtype)
