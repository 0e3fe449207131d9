"""LIF neurons with an adaptive threshold."""

from typing import Any, NamedTuple

import equinox as eqx
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Shaped

from .._membrane import decay, fire_and_reset, hold_refractory, integrate_membrane
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
    First,
    as_first,
    as_spikes,
    checked,
    constant,
    constant_like,
    flag,
    optional_positive_int,
    positive_number,
    spike_dtype,
    zero_state,
)
from .base import (
    AbstractNeuron,
    as_refractory,
    refractory_steps,
    refractory_zeros,
    warn_of_tau_syn,
)


class AdaptiveState(NamedTuple):
    """Membrane potential and adaptation, each of shape `"*shape"`.

    With a refractory period also `remaining`, for how many more steps a neuron is refractory.
    """

    potential: Float[Array, "*shape"]
    adaptation: Float[Array, "*shape"]
    remaining: Float[Array, "*shape"] | None = None


class ALIF(AbstractNeuron):
    r"""LIF neurons whose threshold rises with every spike and decays slowly.

    The membrane alone. Each step updates the potential $v$ and the adaptation $a$, which start
    at 0, in this order:

    $$
    \begin{split}
    v &\leftarrow v + \frac{dt}{\tau_\text{mem}} ((v_\text{leak} - v) + r x) \\
    z &\leftarrow 1 \text{ if } v > v_\text{th} + \beta a \text{, else } 0 \\
    v &\leftarrow v - z (v - v_\text{reset}) \\
    a &\leftarrow a - \frac{dt}{\tau_\text{adapt}} a + z
    \end{split}
    $$

    The neurons of an LSNN, which have a synapse and lateral connections, are
    `Recurrent(Synapse(ALIF(), immediate=False), linear)`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import ALIF, LIF
    >>> currents = jnp.full((60,), 2.0)
    >>> float(LIF()(currents).sum()), float(ALIF(beta=0.5)(currents).sum())
    (15.0, 4.0)

    ```

    **Arguments:**

    - `params`: a `LIFParameters`, whose `tau_syn` is not used, or a `LearnableLIFParameters`.
    - `tau_adapt`: time constant of the adaptation, in seconds (static). At least `dt`.
    - `beta`: how much a spike raises the threshold, dimensionless. A number or tuple is
        fixed; a JAX array (a scalar, or one per neuron) is trained.
    - `dt`, `surrogate`, `checkpoint_every`, `dtype`:
        [shared arguments][jaxsnn_eqx.AbstractLayer]. `dt` at most each time constant.
    - `soft_reset`, `refractory`, `detach_reset`: as in `LIF`; a soft reset lowers the potential
        by the threshold of that step, `v_th + beta · a`, minus `v_reset`.
    - `detach_adaptation`: leaves the spike that raises the threshold out of the derivative
        (static), as Norse's LSNN does.

    **Derivative:** the surrogate's, through the spike, the reset and the adaptation unless they
    are detached, with respect to the input and `beta`, in forward and reverse mode; see `LIF`
    for when to detach the reset. **Threshold, NaN and infinities:** as `LIF`.

    Source: Bellec et al., "A solution to the learning dilemma for recurrent networks of spiking
    neurons", Nature Communications 11 (2020), "Neuron models", with the reset of `LIF`.
    """

    params: AnyLIFParameters = eqx.field(
        default=LIFParameters(), converter=parameters_of("tau_mem", "v_th")
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
    soft_reset: bool = eqx.field(default=False, static=True, converter=flag("soft_reset"))
    refractory: float = eqx.field(default=0.0, static=True, converter=as_refractory)
    detach_reset: bool = eqx.field(default=False, static=True, converter=flag("detach_reset"))
    detach_adaptation: bool = eqx.field(
        default=False, static=True, converter=flag("detach_adaptation")
    )

    def __check_init__(self):
        check_params(self.params, self.dt, "tau_mem")
        check_dt(self.dt, tau_adapt=self.tau_adapt)
        warn_of_tau_syn("ALIF", self.params)

    @checked
    def init(self, x: First) -> AdaptiveState:
        """Potentials and adaptations of 0 for an input like `x`, in float32 or wider."""
        x = as_first(x)
        zeros = zero_state(x)
        remaining = refractory_zeros(zeros, self.refractory, self.dt)
        return AdaptiveState(zeros, zero_state(x), remaining)

    @checked
    def advance(
        self, state: AdaptiveState, current: Float[Array, "*shape"], dtype: Any
    ) -> tuple[AdaptiveState, Shaped[Array, "*shape"]]:
        """One step of the equations above: `(state, spikes)`."""
        params, remaining = self.params, state.remaining
        v_th = constant_like("v_th", params.v_th, state.potential)
        v_th = v_th + constant_like("beta", self.beta, state.potential) * state.adaptation
        potential = integrate_membrane(state.potential, current, params, self.dt)
        potential, spikes = fire_and_reset(
            potential,
            v_th,
            params.v_reset,
            self.surrogate,
            soft=self.soft_reset,
            detach=self.detach_reset,
        )
        if remaining is not None:
            steps = refractory_steps(self.refractory, self.dt)
            remaining, potential, spikes = hold_refractory(
                remaining, steps, state.potential, potential, spikes
            )
        raises = lax.stop_gradient(spikes) if self.detach_adaptation else spikes
        adaptation = decay(state.adaptation, "tau_adapt", self.tau_adapt, self.dt) + raises
        state = AdaptiveState(potential, adaptation, remaining)
        return state, as_spikes(spikes, self.dtype or dtype)
