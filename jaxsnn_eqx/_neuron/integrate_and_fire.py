"""Neurons without a leak: integrate-and-fire, and the integrator."""

from typing import Any

import equinox as eqx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Shaped

from .._membrane import accumulate
from .._parameters import AnyLIFParameters, LIFParameters, parameters_of
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    First,
    as_first,
    checked,
    flag,
    optional_positive_int,
    positive_number,
    spike_dtype,
    zero_state,
)
from .base import (
    AbstractMembrane,
    AbstractNeuron,
    MembraneState,
    as_refractory,
    warn_of_tau_syn,
)


class IF(AbstractMembrane):
    r"""Integrate-and-fire neurons, without a leak: input currents to spikes.

    Each step updates the potential $v$, which starts at 0, in this order (integrate, fire,
    reset):

    $$
    \begin{split}
    v &\leftarrow v + r x \\
    z &\leftarrow 1 \text{ if } v > v_\text{th} \text{, else } 0 \\
    v &\leftarrow v - z (v - v_\text{reset})
    \end{split}
    $$

    The resistance $r$ is 1, unless `params` has another. The input is not multiplied by `dt`: a
    spike raises the potential by its weight, as in sinabs, spikingjelly and Norse.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import IF, LIFParameters
    >>> currents = jnp.array([[0.5], [0.75], [0.875], [1.0]])
    >>> IF(LIFParameters(v_th=1.0))(currents).ravel()
    Array([0., 1., 0., 1.], dtype=float32)
    >>> IF(LIFParameters(v_th=1.0), soft_reset=True)(currents).ravel()
    Array([0., 1., 1., 1.], dtype=float32)

    ```

    **Arguments:**

    - `params`: a `LIFParameters`, of which only `v_th`, `v_reset` and `r` are used, or a
        `LearnableLIFParameters`.
    - `dt`, `surrogate`, `checkpoint_every`, `dtype`:
        [shared arguments][jaxsnn_eqx.AbstractLayer]. `dt` matters for `refractory` only.
    - `soft_reset`, `refractory`, `detach_reset`: as in `LIF`.

    **Derivative, threshold, NaN and infinities:** as `LIF`.

    Source: Gerstner, Kistler, Naud & Paninski, "Neuronal Dynamics" (2014), section 1.3, without
    the leak; NIR's IF.
    """

    params: AnyLIFParameters = eqx.field(
        default=LIFParameters(), converter=parameters_of("v_th")
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
        warn_of_tau_syn("IF", self.params)

    def integrate(self, potential: Array, current: Array) -> Array:
        """The potential after a step, before it fires."""
        return accumulate(potential, current, self.params)


class Integrator(AbstractNeuron):
    r"""Integrators, without a leak or a threshold: input currents to potentials.

    Each step updates the potential $v$, which starts at 0, and returns it:

    $$
    v \leftarrow v + r x
    $$

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import Integrator
    >>> Integrator()(jnp.array([[1.0], [0.0], [2.0]])).ravel()
    Array([1., 1., 3.], dtype=float32)

    ```

    **Arguments:**

    - `params`: a `LIFParameters` or a `LearnableLIFParameters`, of which only `r` is used.
    - `dt`, `checkpoint_every`: [shared arguments][jaxsnn_eqx.AbstractLayer]. As in `IF`, the
        input is not multiplied by `dt`.

    **Derivative:** exact, since there is no threshold. **NaN** gives NaN from that step on; an
    **infinity** gives itself.

    Source: NIR's I.
    """

    params: AnyLIFParameters = eqx.field(default=LIFParameters(), converter=parameters_of())
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )

    def __check_init__(self):
        warn_of_tau_syn("Integrator", self.params)

    @checked
    def init(self, x: First) -> MembraneState:
        """Potentials of 0 for an input like `x`, in float32 or wider."""
        return MembraneState(zero_state(as_first(x)))

    @checked
    def advance(
        self, state: MembraneState, current: Float[Array, "*shape"], dtype: Any
    ) -> tuple[MembraneState, Shaped[Array, "*shape"]]:
        """One step of the equation above: `(state, potential)`."""
        potential = accumulate(state.potential, current, self.params)
        return MembraneState(potential), potential.astype(dtype)
