"""LIF neurons with an adaptive threshold."""

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
from .._membrane import decay, fire_and_reset, integrate_membrane
from .._parameters import LIFParameters, check_dt
from .._surrogate import AbstractSurrogate
from .._types import (
    Constant,
    NestedNumbers,
    as_floating,
    as_spikes,
    checked,
    constant,
    constant_like,
    positive_number,
    zero_state,
)
from .base import AbstractSynapticNeuron


class AdaptiveState(NamedTuple):
    """Membrane potential, synaptic current and adaptation, each of shape `"*shape"`."""

    voltage: Float[Array, "*shape"]
    current: Float[Array, "*shape"]
    adaptation: Float[Array, "*shape"]


class ALIF(AbstractSynapticNeuron):
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

    - `params`: the neurons' `LIFParameters` (static).
    - `tau_adapt`: time constant of the adaptation, in seconds (static). At least `dt`.
    - `beta`: by how much a spike raises the threshold, dimensionless. A number or tuple is
        fixed, a JAX array (scalar, or one per neuron) trainable.
    - `dt`: length of a step in seconds (static). Positive, at most each time constant.
    - `surrogate`: the spike and its derivative, an `AbstractSurrogate`.
    - `checkpoint_every`: steps between the states kept for the reverse pass (static); see
        `integrate`, which also gives the default.
    - `dtype`: dtype of the spikes (static); by default the floating dtype of the input.
        Through boolean and integer spikes all gradients are zero.

    Changing a static argument recompiles.

    **Derivative:** the surrogate's, through the spike, the reset and the adaptation, with
    respect to the input and `beta`, in forward and reverse mode. **Threshold, NaN and
    infinities:** as `LIF`.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: Bellec et al., "A solution to the learning dilemma for recurrent networks of spiking
    neurons", Nature Communications 11 (2020), equations 6 to 8, with this family's reset and
    synapse.
    """

    params: LIFParameters = params_field()
    tau_adapt: float = eqx.field(
        default=0.2, static=True, converter=positive_number("tau_adapt")
    )
    beta: Constant = eqx.field(default=0.18, converter=constant("beta"))
    dt: float = dt_field()
    surrogate: AbstractSurrogate = surrogate_field()
    checkpoint_every: int | None = checkpoint_field()
    dtype: Any = dtype_field()

    def __check_init__(self):
        check_dt(self.dt, tau_adapt=self.tau_adapt)

    @checked
    def init(self, x: Shaped[ArrayLike, "*shape"] | NestedNumbers) -> AdaptiveState:
        """Potentials, currents and adaptations of 0 for an input like `x`."""
        zeros = zero_state(as_floating(x))
        return AdaptiveState(zeros, zeros, zeros)

    @checked
    def step(
        self,
        state: AdaptiveState,
        x: Shaped[ArrayLike, "*shape"] | NestedNumbers,
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
        v_th = params.v_th + constant_like("beta", self.beta, state.voltage) * state.adaptation
        voltage = integrate_membrane(
            state.voltage, state.current, params.tau_mem, params.v_leak, self.dt
        )
        voltage, spikes = fire_and_reset(voltage, v_th, params.v_reset, self.surrogate)
        current = decay(state.current, params.tau_syn, self.dt) + x.astype(state.current.dtype)
        adaptation = decay(state.adaptation, self.tau_adapt, self.dt) + spikes
        state = AdaptiveState(voltage, current, adaptation)
        return state, as_spikes(spikes, self.dtype or x.dtype)
