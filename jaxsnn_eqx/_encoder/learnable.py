"""The constant-current LIF encoder with trainable parameters."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from .._fields import checkpoint_field, dt_field, dtype_field, surrogate_field
from .._membrane import fire_and_reset, integrate_membrane
from .._parameters import LIFParameters, check_dt
from .._surrogate import AbstractSurrogate, SuperSpike
from .._types import NestedNumbers, as_floating, checked, positive_int
from .base import AbstractHeldEncoder, AbstractVoltageMembrane


class LearnableLIFEncoder(AbstractVoltageMembrane, AbstractHeldEncoder):
    """`ConstantCurrentLIFEncoder` whose gain, bias, `tau_mem` and `v_th` are trained.

    Each feature drives its neuron with the current `gain · x + bias`, and each neuron has
    constants of its own. At every step, in this order, from `v = 0`:

        v <- v + dt / tau_mem · ((v_leak − v) + gain · x + bias)
        z <- 1 if v > v_th else 0
        v <- v − z · (v − v_reset)

    The trained leaves are `gain`, `bias`, `log_tau_mem` and `log_v_th`, with
    `tau_mem = dt + exp(log_tau_mem)` and `v_th = v_reset + exp(log_v_th)`, so that training
    leaves neither the stable range of Euler's method nor that of the threshold. At first
    (`gain` 1, `bias` 0) it encodes as the fixed encoder with `params` does, up to rounding.

    ```python
    >>> import equinox as eqx, jax.numpy as jnp
    >>> from jaxsnn_eqx import LearnableLIFEncoder
    >>> encoder = LearnableLIFEncoder(2, seq_length=5)
    >>> encoder(jnp.array([1.0, 3.0])).sum(axis=0)
    Array([0., 1.], dtype=float32)
    >>> grads = eqx.filter_grad(lambda e: e(jnp.array([1.0, 3.0])).sum())(encoder)
    >>> bool((grads.gain > 0).all() and (grads.log_v_th < 0).all())
    True

    ```

    **Arguments:**

    - `shape`: shape of the values, an int or a tuple of ints.
    - `seq_length`: number of steps, at least 1 (static).
    - `params`: a `LIFParameters` with the first `tau_mem` (above `dt`) and `v_th`, and the
        fixed `v_leak` and `v_reset`; `tau_syn` is not used.
    - `dt`: length of a step in seconds (static). Positive and below `params.tau_mem`.
    - `surrogate`: the spike and its derivative, an `AbstractSurrogate`.
    - `checkpoint_every`: steps between the states kept for the reverse pass (static); see
        `integrate`, which also gives the default.
    - `dtype`: dtype of the spikes (static); by default the floating dtype of the input.
        Through boolean and integer spikes all gradients are zero.

    **Derivative:** the surrogate's, through the spike and the reset, with respect to the
    values and the four leaves, in forward and reverse mode. **Threshold, NaN and
    infinities:** as `ConstantCurrentLIFEncoder`.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: the reference's encoder; trained time constants as in Fang et al., ICCV (2021).
    """

    gain: Float[Array, "*shape"]
    bias: Float[Array, "*shape"]
    log_tau_mem: Float[Array, "*shape"]
    log_v_th: Float[Array, "*shape"]
    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    v_leak: float = eqx.field(static=True)
    v_reset: float = eqx.field(static=True)
    dt: float = dt_field()
    surrogate: AbstractSurrogate = surrogate_field()
    checkpoint_every: int | None = checkpoint_field()
    dtype: Any = dtype_field()

    def __init__(
        self,
        shape: int | tuple[int, ...],
        seq_length: int,
        params: LIFParameters = LIFParameters(),
        dt: float = 1e-3,
        surrogate: AbstractSurrogate = SuperSpike(),
        checkpoint_every: int | None = None,
        dtype: Any = None,
    ):
        check_dt(dt, tau_mem=params.tau_mem)
        if dt == params.tau_mem:
            raise ValueError(
                f"`dt` must be below `tau_mem`={params.tau_mem} s, which is trained here and "
                f"stays above it, got dt={dt} s."
            )
        self.gain = jnp.ones(shape)
        self.bias = jnp.zeros(shape)
        ones = self.gain  # strongly typed, as what is multiplied with it
        self.log_tau_mem = ones * math.log(params.tau_mem - dt)
        self.log_v_th = ones * math.log(params.v_th - params.v_reset)
        self.seq_length = seq_length
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
    def v_th(self) -> Float[Array, "*shape"]:
        """The thresholds, above `v_reset`."""
        return self.v_reset + jnp.exp(self.log_v_th)

    @checked
    def step(
        self,
        state: Float[Array, "*shape"],
        x: Shaped[ArrayLike, "*shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "*shape"], Shaped[Array, "*shape"]]:
        """One step of the equations above: `(voltage, spikes)`, the voltage after the reset."""
        x = as_floating(x)
        if x.shape != self.gain.shape:
            raise ValueError(
                f"the values must have the encoder's shape {self.gain.shape}, got {x.shape}."
            )
        gain, bias, tau_mem, v_th, x_ = (
            a.astype(state.dtype) for a in (self.gain, self.bias, self.tau_mem, self.v_th, x)
        )
        voltage = integrate_membrane(state, gain * x_ + bias, tau_mem, self.v_leak, self.dt)
        dtype = self.dtype or x.dtype
        return fire_and_reset(voltage, v_th, self.v_reset, self.surrogate, dtype=dtype)
