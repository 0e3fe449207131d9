"""Changes, with what was not yet sent carried over."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    Constant,
    Sample,
    Signal,
    as_floating,
    as_spikes,
    checked,
    constant,
    constant_like,
    optional_positive_int,
    refuse_unsigned,
    spike_dtype,
    zero_state,
)
from .base import AbstractSignalEncoder
from .change import cumulative
from .rules import signed_spikes, straight_through


class SentState(NamedTuple):
    """What the spikes so far add up to, of shape `"*shape"`, in units of the signal."""

    sent: Float[Array, "*shape"]


class SigmaDeltaEncoder(AbstractSignalEncoder):
    """Encodes a signal's change plus the residual that earlier spikes left.

    At every step, with s the sum of all that was sent (at first 0, so that the first sample
    counts as a change too), and `r = x − s`, which is the change since the previous sample plus
    the residual of that one:

        z <- r / threshold, rounded toward 0                        (graded)
        z <- 1 if r >= threshold, −1 if r <= −threshold, else 0     (binary)
        s <- s + threshold · z

    A graded spike carries a whole number, so that s follows within a threshold at once, however
    fast the signal; a binary one moves s by one threshold a step.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import SigmaDeltaEncoder
    >>> encoder = SigmaDeltaEncoder(threshold=0.5)
    >>> spikes = encoder(jnp.array([2.25, 2.75, 2.75, 0.0]))
    >>> spikes
    Array([ 4.,  1.,  0., -5.], dtype=float32)
    >>> encoder.decode(spikes)
    Array([2. , 2.5, 2.5, 0. ], dtype=float32)

    ```

    **Arguments:**

    - `threshold`: the unit of a spike, in units of the signal. Positive. A number or tuple
        is fixed, a JAX array (scalar, or of a sample's shape) trainable.
    - `graded`: whether spikes carry whole numbers (static), or only −1, 0 and 1.
    - `surrogate`, `checkpoint_every`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].
        `surrogate` is in units of the signal, and for binary spikes alone; `dtype` must hold
        −1, and a narrow integer one may overflow.

    `decode(spikes)` gives s: within one threshold of the signal at every step (graded).

    **Derivative:** of graded spikes straight-through, that of `r / threshold`; of binary ones
    the surrogate's. Through s, with respect to the signal and the threshold, in forward and
    reverse mode. **NaN** gives NaN from that step on. An **infinity** is itself sent and, at
    the next step, taken back, with NaN from then on (binary: it fires, and no more).

    Source: O'Connor & Welling, "Sigma Delta Quantized Networks", ICLR (2017); Yoon, "LIF and
    Simplified SRM Neurons Encode Signals Into Spikes via a Form of Asynchronous Pulse
    Sigma–Delta Modulation", IEEE Transactions on Neural Networks and Learning Systems 28
    (2017).
    """

    threshold: Constant = eqx.field(converter=constant("threshold", positive=True))
    graded: bool = eqx.field(default=True, static=True)
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        refuse_unsigned(self.dtype)

    @checked
    def init(self, x: Sample) -> SentState:
        """Nothing sent yet, for a signal of samples like `x`."""
        return SentState(zero_state(as_floating(x)))

    @checked
    def step(
        self,
        state: SentState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[SentState, Shaped[Array, "*shape"]]:
        """One sample: `(state, spikes)`, all that was sent, this included; `key` is ignored."""
        x = as_floating(x)
        sample = x.astype(state.sent.dtype)
        threshold = constant_like("threshold", self.threshold, sample)
        rest = sample - state.sent
        if self.graded:
            units = rest / threshold
            spikes = straight_through(jnp.trunc(units), units)
        else:
            spikes = signed_spikes(self.surrogate, rest, threshold)
        state = SentState(state.sent + threshold * spikes)
        return state, as_spikes(spikes, self.dtype or x.dtype)

    @checked
    def decode(self, spikes: Signal) -> Float[Array, "time *shape"]:
        """All that was sent by each step, in units of the signal.

        **Arguments:**

        - `spikes`: of shape `"time *shape"`.
        """
        return cumulative(self.threshold, spikes)
