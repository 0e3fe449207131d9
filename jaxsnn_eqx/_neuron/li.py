"""Leaky integrators: the readout that does not spike."""

from jaxtyping import Array, ArrayLike, PRNGKeyArray, Shaped

from .._fields import checkpoint_field, dt_field, params_field
from .._membrane import decay, integrate_membrane
from .._parameters import LIFParameters
from .._types import NestedNumbers, as_floating, checked
from .base import AbstractSynapticNeuron, SynapticState


class LI(AbstractSynapticNeuron):
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

    - `params`: a `LIFParameters` (static), of which `v_th` and `v_reset` are not used.
    - `dt`: length of a step in seconds (static). Positive, at most `tau_mem` and `tau_syn`.
    - `checkpoint_every`: steps between the states kept for the reverse pass (static); see
        `integrate`, which also gives the default.

    Changing a static argument recompiles.

    **Derivative:** exact. **NaN** and infinities in give NaN and infinities out.

    A max over time of these potentials starts from 0, so a class that stays below it has no
    gradient and never learns: use no bias in front, and let output weights start positive
    where few inputs spike.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: `jaxsnn.discrete.functional.li.li_step` (jaxsnn 0.3.0); Norse's `li_step`.
    """

    params: LIFParameters = params_field()
    dt: float = dt_field()
    checkpoint_every: int | None = checkpoint_field()

    @checked
    def init(self, x: Shaped[ArrayLike, "*shape"] | NestedNumbers) -> SynapticState:
        """Potentials and currents of 0 for an input like `x`, in float32 or wider."""
        return SynapticState.zeros(x)

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

        `(state, potential)`, the potential in the floating dtype of `x`.
        """
        x = as_floating(x)
        params = self.params
        current = state.current + x.astype(state.current.dtype)
        voltage = integrate_membrane(
            state.voltage, current, params.tau_mem, params.v_leak, self.dt
        )
        current = decay(current, params.tau_syn, self.dt)
        return SynapticState(voltage, current), voltage.astype(x.dtype)
