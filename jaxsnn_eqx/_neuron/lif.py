"""Leaky integrate-and-fire neurons."""

import equinox as eqx
from jax.typing import DTypeLike
from jaxtyping import Array

from .._membrane import integrate_membrane
from .._parameters import AnyLIFParameters, LIFParameters, check_params, parameters_of
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import flag, optional_positive_int, positive_number, spike_dtype
from .base import AbstractMembrane, as_refractory, warn_of_tau_syn


class LIF(AbstractMembrane):
    r"""Leaky integrate-and-fire neurons, the membrane alone: input currents to spikes.

    Each step updates the potential $v$, which starts at 0, in this order (integrate, fire,
    reset):

    $$
    \begin{split}
    v &\leftarrow v + \frac{dt}{\tau_\text{mem}} ((v_\text{leak} - v) + r x) \\
    z &\leftarrow 1 \text{ if } v > v_\text{th} \text{, else } 0 \\
    v &\leftarrow v - z (v - v_\text{reset})
    \end{split}
    $$

    The resistance $r$ is 1, unless `params` has another.
    The input of a step therefore changes the potential in that step. `Synapse(LIF())` adds an
    exponential synaptic current between input and membrane, as the LIF neurons of jaxsnn and
    Norse and NIR's CubaLIF have.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LIF
    >>> LIF()(jnp.array([[8.0], [0.0], [4.0], [4.0]])).ravel()
    Array([1., 0., 0., 1.], dtype=float32)

    ```

    **Arguments:**

    - `params`: a `LIFParameters`, whose `tau_syn` is not used, or a `LearnableLIFParameters`.
    - `dt`, `surrogate`, `checkpoint_every`, `dtype`:
        [shared arguments][jaxsnn_eqx.AbstractLayer]. `dt` at most `tau_mem`.
    - `soft_reset`: lowers the potential by `v_th − v_reset` at a spike instead of setting it to
        `v_reset`, so that the part above the threshold is kept (static).
    - `refractory`: refractory period in seconds (static), rounded to whole steps. During it the
        potential is constant and the neuron does not fire. 0 means no refractory period.
    - `detach_reset`: leaves the reset out of the derivative (static).

    **Derivative:** the surrogate's, through the spike and, unless with `detach_reset`, through
    the reset, in forward and reverse mode. Through the reset it has a factor of
    `surrogate'(v − v_th) · (v − v_reset)` in each step. With potentials in millivolts
    (`v_th=-50`, `v_reset=-65`) that stay near the threshold, the product of these factors grows
    without bound and becomes NaN; with `detach_reset` the derivative stays finite. **At the
    threshold** there is no spike. **NaN** gives NaN from that step on, and an **infinite**
    input gives NaN from the next step on.

    **In other libraries.** snnTorch's `Leaky(beta)` is this neuron with
    `tau_mem = dt / (1 − beta)` and its input multiplied by `1 / (1 − beta)`. Its default reset
    subtracts the threshold one step later, after the decay: `soft_reset=True` with
    `v_reset = v_th · (1 − 1 / beta)`. It detaches the reset; Norse does so in its recurrent
    cells, and spikingjelly's `LIFNode(tau)`, with `tau_mem = tau · dt`, has an option for it.
    jaxpike and sinabs decay by `exp(−dt / tau)`: use `tau_mem = dt / (1 − exp(−dt / tau))`.

    Source: Gerstner, Kistler, Naud & Paninski, "Neuronal Dynamics" (2014), section 1.3;
    `jaxsnn.discrete.encode.lif_current_encoder` (jaxsnn 0.3.0).
    """

    params: AnyLIFParameters = eqx.field(
        default=LIFParameters(), converter=parameters_of("tau_mem", "v_th")
    )
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)
    soft_reset: bool = eqx.field(default=False, static=True, converter=flag("soft_reset"))
    refractory: float = eqx.field(default=0.0, static=True, converter=as_refractory)
    detach_reset: bool = eqx.field(default=False, static=True, converter=flag("detach_reset"))

    def __check_init__(self):
        check_params(self.params, self.dt, "tau_mem")
        warn_of_tau_syn("LIF", self.params)

    def integrate(self, potential: Array, current: Array) -> Array:
        """The potential after a step, before it fires."""
        return integrate_membrane(potential, current, self.params, self.dt)
