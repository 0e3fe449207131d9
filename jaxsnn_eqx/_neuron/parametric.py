"""LIF neurons with trainable constants of their own."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from .._fields import checkpoint_field, dt_field, dtype_field, surrogate_field
from .._membrane import decay, fire_and_reset, integrate_membrane
from .._parameters import LIFParameters, check_dt
from .._surrogate import AbstractSurrogate, SuperSpike
from .._types import NestedNumbers, as_floating, checked, constant_like
from .base import AbstractNeuron, SynapticState


class ParametricLIF(AbstractNeuron):
    """`LIF` neurons whose `tau_mem`, `tau_syn` and `v_th` are trained.

    The equations and their order are those of `LIF`. The trained leaves are `log_tau_mem`,
    `log_tau_syn` and `log_v_th`, with `tau = dt + exp(log_tau)` and
    `v_th = v_reset + exp(log_v_th)`, so that training leaves neither the stable range of
    Euler's method nor that of the threshold.

    ```python
    >>> import equinox as eqx, jax.numpy as jnp
    >>> from jaxsnn_eqx import ParametricLIF
    >>> neurons = ParametricLIF(2, tau_mem=[5e-3, 2e-2])
    >>> currents = jnp.full((50, 2), 0.5)
    >>> neurons(currents).sum(axis=0)
    Array([23.,  7.], dtype=float32)
    >>> grads = eqx.filter_grad(lambda n: n(currents).sum())(neurons)
    >>> bool((grads.log_v_th < 0).all())
    True

    ```

    **Arguments:**

    - `shape`: shape of the layer, an int or a tuple of ints: each neuron has constants of its
        own. With `()` all neurons share them.
    - `params`: a `LIFParameters` with the first `tau_mem` and `tau_syn` (above `dt`) and
        `v_th`, and the fixed `v_leak` and `v_reset`.
    - `tau_mem`, `tau_syn`, `v_th`: the first constants of each neuron, of a shape that
        broadcasts to `shape`, in place of those in `params`. (Keyword only.)
    - `dt`: length of a step in seconds (static). Positive, below each time constant.
    - `surrogate`: the spike and its derivative, an `AbstractSurrogate`.
    - `checkpoint_every`: steps between the states kept for the reverse pass (static); see
        `integrate`, which also gives the default.
    - `dtype`: dtype of the spikes (static); by default the floating dtype of the input.
        Through boolean and integer spikes all gradients are zero.

    **Derivative:** the surrogate's, through the spike and the reset, with respect to the input
    and the three leaves, in forward and reverse mode. **Threshold, NaN and infinities:** as
    `LIF`.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: Fang et al., "Incorporating Learnable Membrane Time Constant to Enhance Learning of
    Spiking Neural Networks", ICCV (2021), which trains a logistic function of `dt / tau_mem`.
    """

    log_tau_mem: Float[Array, "*shape"]
    log_tau_syn: Float[Array, "*shape"]
    log_v_th: Float[Array, "*shape"]
    v_leak: float = eqx.field(static=True)
    v_reset: float = eqx.field(static=True)
    dt: float = dt_field()
    surrogate: AbstractSurrogate = surrogate_field()
    checkpoint_every: int | None = checkpoint_field()
    dtype: Any = dtype_field()

    def __init__(
        self,
        shape: int | tuple[int, ...],
        params: LIFParameters = LIFParameters(),
        dt: float = 1e-3,
        surrogate: AbstractSurrogate = SuperSpike(),
        checkpoint_every: int | None = None,
        dtype: Any = None,
        *,
        tau_mem: ArrayLike | NestedNumbers | None = None,
        tau_syn: ArrayLike | NestedNumbers | None = None,
        v_th: ArrayLike | NestedNumbers | None = None,
    ):
        check_dt(dt, tau_mem=params.tau_mem, tau_syn=params.tau_syn)
        given = {"tau_mem": tau_mem, "tau_syn": tau_syn, "v_th": v_th}
        floors = {"tau_mem": dt, "tau_syn": dt, "v_th": params.v_reset}
        for name, value in given.items():
            value = np.asarray(getattr(params, name) if value is None else value, float)
            if not (value > floors[name]).all() or not np.isfinite(value).all():
                floor = "`v_reset`" if name == "v_th" else "`dt`"
                raise ValueError(
                    f"`{name}` must be finite and above {floor}={floors[name]}, where it stays "
                    f"in training, got {value}."
                )
            try:
                value = np.broadcast_to(value, shape)
            except ValueError as error:
                raise ValueError(
                    f"`{name}` must broadcast to `shape`={shape}, got shape {value.shape}."
                ) from error
            log = jnp.asarray(np.log(value - floors[name]), jnp.result_type(float))
            setattr(self, f"log_{name}", log)
        self.v_leak = params.v_leak
        self.v_reset = params.v_reset
        self.dt = dt
        self.surrogate = surrogate
        self.checkpoint_every = checkpoint_every
        self.dtype = dtype

    @property
    def tau_mem(self) -> Float[Array, "*shape"]:
        """The membrane time constants in seconds, above `dt`."""
        return self.dt + jnp.exp(self.log_tau_mem)

    @property
    def tau_syn(self) -> Float[Array, "*shape"]:
        """The synaptic time constants in seconds, above `dt`."""
        return self.dt + jnp.exp(self.log_tau_syn)

    @property
    def v_th(self) -> Float[Array, "*shape"]:
        """The thresholds, above `v_reset`."""
        return self.v_reset + jnp.exp(self.log_v_th)

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
        """One step of the equations of `LIF`: `(state, spikes)`.

        **Arguments:**

        - `state`: potentials and currents, a `SynapticState`.
        - `x`: the input current of this step (dimensionless), of shape `"*shape"`.
        - `key`: ignored. (Keyword only.)
        """
        x = as_floating(x)
        tau_mem, tau_syn, v_th = (
            constant_like(name, getattr(self, name), state.voltage)
            for name in ("tau_mem", "tau_syn", "v_th")
        )
        voltage = integrate_membrane(
            state.voltage, state.current, tau_mem, self.v_leak, self.dt
        )
        dtype = self.dtype or x.dtype
        voltage, spikes = fire_and_reset(
            voltage, v_th, self.v_reset, self.surrogate, dtype=dtype
        )
        current = decay(state.current, tau_syn, self.dt) + x.astype(state.current.dtype)
        return SynapticState(voltage, current), spikes

    def voltage(self, state: SynapticState) -> Array:
        """The membrane potential, after the reset."""
        return state.voltage
