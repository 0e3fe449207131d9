"""Leaky integrators: the readout that does not spike."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Shaped

from .._membrane import integrate_membrane
from .._parameters import AnyLIFParameters, LIFParameters, check_params, parameters_of
from .._types import (
    First,
    as_first,
    checked,
    optional_positive_int,
    positive_number,
    zero_state,
)
from .base import AbstractNeuron, MembraneState, warn_of_tau_syn


class LI(AbstractNeuron):
    r"""Leaky integrators, the membrane alone: input currents to potentials.

    Each step updates the potential $v$, which starts at 0, and returns it:

    $$
    v \leftarrow v + \frac{dt}{\tau_\text{mem}} ((v_\text{leak} - v) + r x)
    $$

    The input of a step therefore changes the output of that step. `Synapse(LI())` adds an
    exponential synaptic current in front, as the LI of jaxsnn and Norse and NIR's CubaLI have.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LI
    >>> LI()(jnp.array([[1.0], [0.0], [0.0]])).ravel()
    Array([0.1  , 0.09 , 0.081], dtype=float32)

    ```

    **Arguments:**

    - `params`: a `LIFParameters`, of which only `tau_mem`, `v_leak` and `r` are used, or a
        `LearnableLIFParameters`.
    - `dt`, `checkpoint_every`: [shared arguments][jaxsnn_eqx.AbstractLayer]. `dt` at most
        `tau_mem`.

    **Derivative:** exact, since there is no threshold. **NaN** gives NaN from that step on; an
    **infinity** gives itself, then NaN.

    Source: `jaxsnn.discrete.functional.li.li_step` (jaxsnn 0.3.0), without its synapse; NIR's
    LI.
    """

    params: AnyLIFParameters = eqx.field(
        default=LIFParameters(), converter=parameters_of("tau_mem")
    )
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )

    def __check_init__(self):
        check_params(self.params, self.dt, "tau_mem")
        warn_of_tau_syn("LI", self.params)

    @checked
    def init(self, x: First) -> MembraneState:
        """Potentials of 0 for an input like `x`, in float32 or wider."""
        return MembraneState(zero_state(as_first(x)))

    @checked
    def advance(
        self, state: MembraneState, current: Float[Array, "*shape"], dtype: Any
    ) -> tuple[MembraneState, Shaped[Array, "*shape"]]:
        """One step of the equation above: `(state, potential)`."""
        potential = integrate_membrane(state.potential, current, self.params, self.dt)
        return MembraneState(potential), potential.astype(dtype)
