"""The constant-current LIF encoder with trainable parameters."""

import math

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from .._adjust import Adjustment, DataRange, with_field
from .._layer import AbstractTimed
from .._membrane import lif_step
from .._parameters import (
    AnyLIFParameters,
    LearnableLIFParameters,
    LIFParameters,
    check_params,
    parameters_of,
    rheobase,
)
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    First,
    Sample,
    as_first,
    as_floating,
    as_shape,
    checked,
    flag,
    optional_positive_int,
    positive_int,
    positive_number,
    spike_dtype,
    zero_state,
)
from .base import AbstractValueEncoder


class LearnableLIFEncoder(AbstractValueEncoder, AbstractTimed):
    r"""`ConstantCurrentLIFEncoder` whose gain, bias, `tau_mem` and `v_th` are trained.

    Each value has its own neuron, with its own constants, gain $g$ and bias $b$. Each step
    updates the potential $v$, which starts at 0, in this order:

    $$
    \begin{split}
    v &\leftarrow v + \frac{dt}{\tau_\text{mem}} ((v_\text{leak} - v) + g x + b) \\
    z &\leftarrow 1 \text{ if } v > v_\text{th} \text{, else } 0 \\
    v &\leftarrow v - z (v - v_\text{reset})
    \end{split}
    $$

    The trained leaves are `gain`, `bias`, and those of its `LearnableLIFParameters`, which keep
    `tau_mem` above `dt` and `v_th` above `v_reset`. Before training (`gain` 1, `bias` 0) its
    spikes are those of the fixed encoder with `params`, up to rounding.

    ```python
    >>> import equinox as eqx, jax.numpy as jnp
    >>> from jaxsnn_eqx import LearnableLIFEncoder
    >>> encoder = LearnableLIFEncoder(2, seq_length=5)
    >>> encoder(jnp.array([1.0, 3.0])).sum(axis=0)
    Array([0., 1.], dtype=float32)
    >>> grads = eqx.filter_grad(lambda e: e(jnp.array([1.0, 3.0])).sum())(encoder)
    >>> bool((grads.gain > 0).all() and (grads.params.log_v_th < 0).all())
    True

    ```

    **Arguments:**

    - `shape`: shape of the values, an int or a tuple of ints.
    - `params`: a `LIFParameters` with the initial `tau_mem` (above `dt`) and `v_th`, and the
        fixed `v_leak` and `v_reset`; or a `LearnableLIFParameters`, with different constants
        for each neuron. `tau_syn` is not used.
    - `seq_length`, `dt`, `surrogate`, `checkpoint_every`, `dtype`:
        [shared arguments][jaxsnn_eqx.AbstractLayer].
    - `detach_reset`: leaves the reset out of the derivative (static), as in
        [`LIF`][jaxsnn_eqx.LIF].

    **Derivative:** the surrogate's, through the spike and, unless it is detached, the reset,
    with respect to the values and the four leaves, in forward and reverse mode. **Threshold,
    NaN and infinities:** as `ConstantCurrentLIFEncoder`.

    Source: jaxsnn's encoder; trained time constants as in Fang et al., ICCV (2021).
    """

    gain: Float[Array, "*shape"]
    bias: Float[Array, "*shape"]
    params: LearnableLIFParameters = eqx.field(converter=parameters_of("tau_mem", "v_th"))
    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)
    detach_reset: bool = eqx.field(default=False, static=True, converter=flag("detach_reset"))

    def __init__(
        self,
        shape: int | tuple[int, ...],
        seq_length: int,
        params: AnyLIFParameters = LIFParameters(),
        dt: float = 1e-3,
        surrogate: AbstractSurrogate = SuperSpike(),
        checkpoint_every: int | None = None,
        dtype: DTypeLike | None = None,
        detach_reset: bool = False,
    ):
        shape, dt = as_shape(shape), positive_number("dt")(dt)
        self.gain = jnp.ones(shape)
        self.bias = jnp.zeros(shape)
        if isinstance(params, LIFParameters):
            if dt >= params.tau_mem:
                raise ValueError(
                    f"`dt` must be below `tau_mem`={params.tau_mem} s, got dt={dt} s: the "
                    "trained `tau_mem` stays above `dt`."
                )
            params = LearnableLIFParameters(shape, params, dt)
        self.params = params
        self.seq_length = seq_length
        self.dt = dt
        self.surrogate = surrogate
        self.checkpoint_every = checkpoint_every
        self.dtype = dtype
        self.detach_reset = detach_reset

    def __check_init__(self):
        check_params(self.params, self.dt)

    @property
    def input_range(self) -> tuple[Array, float]:
        """From the smallest constant value that fires, for each neuron."""
        return (rheobase(self.params) - self.bias) / self.gain, math.inf

    def adjustment(self, data: DataRange) -> Adjustment:
        """The gains; for data below 0 also the biases, which move the smallest value to 0."""

        def apply(gain: Array) -> "LearnableLIFEncoder":
            bias = -gain * jnp.minimum(data.low, 0)
            return with_field(with_field(self, "gain", gain), "bias", bias)

        return Adjustment("gain", 1e-6 / data.span, 1e6 / data.span, True, apply)

    @checked
    def init(self, x: First) -> Float[Array, "*shape"]:
        """Potentials of 0 for values like `x`, in float32 or wider."""
        return zero_state(as_first(x))

    @checked
    def step(
        self, state: Float[Array, "*shape"], x: Sample, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, "*shape"], Shaped[Array, "*shape"]]:
        """One step of the equations above: `(potential, spikes)`, after the reset."""
        x = as_floating(x)
        if x.shape != self.gain.shape:
            raise ValueError(
                f"the values must have the encoder's shape {self.gain.shape}, got {x.shape}."
            )
        gain, bias, x_ = (a.astype(state.dtype) for a in (self.gain, self.bias, x))
        dtype = self.dtype or x.dtype
        return lif_step(
            state,
            gain * x_ + bias,
            self.params,
            self.dt,
            self.surrogate,
            detach=self.detach_reset,
            dtype=dtype,
        )
