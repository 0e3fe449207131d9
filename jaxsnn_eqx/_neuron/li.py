"""Leaky integrators: the readout that does not spike."""

import equinox as eqx
from jaxtyping import Array, PRNGKeyArray, Shaped

from .._membrane import decay, integrate_membrane
from .._parameters import AnyLIFParameters, LIFParameters, check_params, parameters_of
from .._types import Sample, as_floating, checked, optional_positive_int, positive_number
from .base import AbstractNeuron, SynapticState


class LI(AbstractNeuron):
    """Leaky integrators: input currents to membrane potentials, without a threshold.

    At every step, in this order (add the input, integrate, decay), from `v = i = 0`:

        i <- i + x
        v <- v + dt / tau_mem · ((v_leak − v) + i)
        i <- i − dt / tau_syn · i

    So, unlike in `LIF`, the input of a step moves the membrane in that step.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LI
    >>> LI()(jnp.array([[1.0], [0.0], [0.0]])).ravel()
    Array([0.1  , 0.17 , 0.217], dtype=float32)

    ```

    **Arguments:**

    - `params`, `dt`, `checkpoint_every`: [shared arguments][jaxsnn_eqx.AbstractLayer]. `v_th`
        and `v_reset` are not used; with a `LearnableLIFParameters` as `params` the time
        constants are trained.

    **Derivative:** exact. **NaN** gives NaN from that step on; an **infinity** gives itself at
    that step, and NaN from the next on.

    A max over time of these potentials starts from 0, so a class that stays below it has no
    gradient and never learns: use no bias in front, and let output weights start positive
    where few inputs spike.

    Source: `jaxsnn.discrete.functional.li.li_step` (jaxsnn 0.3.0); Norse's `li_step`.
    """

    params: AnyLIFParameters = eqx.field(
        default=LIFParameters(), converter=parameters_of("tau_mem", "tau_syn")
    )
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )

    def __check_init__(self):
        check_params(self.params, self.dt, "tau_mem", "tau_syn")

    @checked
    def init(self, x: Sample) -> SynapticState:
        """Potentials and currents of 0 for an input like `x`, in float32 or wider."""
        return SynapticState.zeros(x)

    @checked
    def step(
        self,
        state: SynapticState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[SynapticState, Shaped[Array, "*shape"]]:
        """One step of the equations above.

        **Arguments:**

        - `state`: potentials and currents, a `SynapticState`.
        - `x`: the input current of this step (dimensionless), of shape `"*shape"`.
        - `key`: ignored. (Keyword only.)

        **Returns:**

        `(state, potential)`, the potential in the floating dtype of `x`.
        """
        x = as_floating(x)
        params = self.params
        current = state.current + x.astype(state.current.dtype)
        voltage = integrate_membrane(state.voltage, current, params, self.dt)
        current = decay(current, "tau_syn", params.tau_syn, self.dt)
        return SynapticState(voltage, current), voltage.astype(x.dtype)
