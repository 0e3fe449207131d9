"""Leaky integrate-and-fire encoders: of a held current, and of a time-varying one."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from .._fields import (
    checkpoint_field,
    dt_field,
    dtype_field,
    params_field,
    surrogate_field,
)
from .._membrane import fire_and_reset, integrate_membrane
from .._parameters import LIFParameters, check_dt
from .._surrogate import AbstractSurrogate
from .._types import NestedNumbers, as_floating, checked, positive_int
from .base import AbstractHeldEncoder, AbstractSignalEncoder, AbstractVoltageMembrane

if TYPE_CHECKING:
    # else type checkers would take abstract fields for the constructor's first arguments
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar


class AbstractLIFMembrane(AbstractVoltageMembrane):
    """The reference's membrane under an input current."""

    params: AbstractVar[LIFParameters]
    surrogate: AbstractVar[AbstractSurrogate]
    dtype: AbstractVar[Any]

    def __check_init__(self):
        check_dt(self.dt, tau_mem=self.params.tau_mem)

    @checked
    def step(
        self,
        state: Float[Array, "*shape"],
        x: Shaped[ArrayLike, "*shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "*shape"], Shaped[Array, "*shape"]]:
        """One Euler step, then a spike where `v > v_th`, then the reset.

        **Arguments:**

        - `state`: the voltages, of shape `"*shape"`.
        - `x`: the input current of this step (dimensionless), of the same shape.
        - `key`: ignored. (Keyword only.)

        **Returns:**

        `(voltage, spikes)`, the voltage after the reset.
        """
        x = as_floating(x)
        params = self.params
        voltage = integrate_membrane(
            state, x.astype(state.dtype), params.tau_mem, params.v_leak, self.dt
        )
        dtype = self.dtype or x.dtype
        return fire_and_reset(voltage, params.v_th, params.v_reset, self.surrogate, dtype=dtype)


class ConstantCurrentLIFEncoder(AbstractLIFMembrane, AbstractHeldEncoder):
    """Encodes each value as the spikes of a LIF neuron that it drives as a held current.

    At every step, in this order, from `v = 0`:

        v <- v + dt / tau_mem · ((v_leak − v) + x)
        z <- 1 if v > v_th else 0
        v <- v − z · (v − v_reset)

    A value at or below `v_th − v_leak` never fires; above it the rate rises with the value,
    up to one spike per step (from `x > v_th · tau_mem / dt` on, with the other defaults).

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import ConstantCurrentLIFEncoder, LIFParameters
    >>> encoder = ConstantCurrentLIFEncoder(seq_length=2, params=LIFParameters(v_th=1.0))
    >>> encoder(jnp.array([2, 4, 8, 16]))
    Array([[0., 0., 0., 1.],
           [0., 0., 1., 1.]], dtype=float32)

    ```

    **Arguments:**

    - `seq_length`: number of steps, at least 1 (static).
    - `params`: the neuron's `LIFParameters` (static); `tau_syn` is not used, since the
        input is the current itself.
    - `dt`: length of a step in seconds (static). Positive and at most `tau_mem`.
    - `surrogate`: the spike and its derivative, an `AbstractSurrogate`.
    - `checkpoint_every`: steps between the states kept for the reverse pass (static); see
        `integrate`, which also gives the default.
    - `dtype`: dtype of the spikes (static); by default the floating dtype of the input.
        Through boolean and integer spikes all gradients are zero.

    Changing a static argument recompiles.

    **Derivative:** the surrogate's, through the spike and through the reset, in forward and
    reverse mode. **At the threshold** (`v == v_th`) there is no spike. **NaN** gives NaN
    spikes from the first step on (False or 0 in boolean and integer dtypes); an
    **infinite** value makes the voltage NaN in the step after it.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: `jaxsnn.discrete.encode.constant_current_lif_encode` (jaxsnn 0.3.0); Norse's
    `constant_current_lif_encode`.
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    params: LIFParameters = params_field()
    dt: float = dt_field()
    surrogate: AbstractSurrogate = surrogate_field()
    checkpoint_every: int | None = checkpoint_field()
    dtype: Any = dtype_field()


class LIFCurrentEncoder(AbstractLIFMembrane, AbstractSignalEncoder):
    """Encodes a signal as the spikes of the LIF neurons that it drives as a current.

    The membrane of `ConstantCurrentLIFEncoder` under a current that varies: `step` is one
    Euler step, the reference's `lif_current_encoder(voltage, current) -> (voltage, spikes)`,
    and the call runs a current of shape `"time *shape"` from `v = 0`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LIFCurrentEncoder
    >>> encoder = LIFCurrentEncoder()
    >>> voltage, spikes = encoder.step(jnp.array([0.0, 0.55]), jnp.array([2.0, 2.0]))
    >>> voltage, spikes
    (Array([0.2, 0. ], dtype=float32), Array([0., 1.], dtype=float32))
    >>> encoder(jnp.full((4, 1), 2.0)).ravel()
    Array([0., 0., 0., 1.], dtype=float32)

    ```

    **Arguments:**

    - `params`: the neuron's `LIFParameters` (static); `tau_syn` is not used, since the
        input is the current itself.
    - `dt`: length of a step in seconds (static). Positive and at most `tau_mem`.
    - `surrogate`: the spike and its derivative, an `AbstractSurrogate`.
    - `checkpoint_every`: steps between the states kept for the reverse pass (static); see
        `integrate`, which also gives the default.
    - `dtype`: dtype of the spikes (static); by default the floating dtype of the input.
        Through boolean and integer spikes all gradients are zero.

    Changing a static argument recompiles.

    **Derivative, threshold, NaN and infinities:** as `ConstantCurrentLIFEncoder`.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: `jaxsnn.discrete.encode.lif_current_encoder` (jaxsnn 0.3.0).
    """

    params: LIFParameters = params_field()
    dt: float = dt_field()
    surrogate: AbstractSurrogate = surrogate_field()
    checkpoint_every: int | None = checkpoint_field()
    dtype: Any = dtype_field()
