"""Changes of a signal, with the residual carried over."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from .._adjust import Adjustment, DataRange, adjust
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    Constant,
    First,
    Sample,
    Signal,
    as_first,
    as_floating,
    as_spikes,
    broadcast_like,
    checked,
    constant,
    constant_like,
    flag,
    optional_positive_int,
    refuse_unsigned,
    spike_dtype,
    zero_state,
)
from .base import AbstractSignalEncoder
from .change import cumulative
from .rules import met, signed_spikes, straight_through


class SentState(NamedTuple):
    """The sum of the spikes so far, of shape `"*shape"`, in units of the signal."""

    sent: Float[Array, "*shape"]


class SigmaDeltaEncoder(AbstractSignalEncoder):
    r"""Encodes a signal's change plus the residual of earlier spikes.

    The reconstruction $s$ starts at 0, so that the first sample is a change too. With
    $r = x - s$, which is the change since the previous sample plus its residual, and $\theta$ =
    `threshold`, a graded step is

    $$
    \begin{split}
    z &\leftarrow \operatorname{trunc}(r / \theta) \\
    s &\leftarrow s + \theta z
    \end{split}
    $$

    and with `graded=False` the spike is binary,

    $$
    z \leftarrow \begin{cases}
    1 & r \ge \theta \\
    -1 & r \le -\theta \\
    0 & \text{else}
    \end{cases}
    $$

    A graded spike is a whole number, so $s$ follows any signal within one threshold at every
    step. A binary spike changes $s$ by at most one threshold per step.

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

    - `threshold`: the change that a spike of 1 stands for, in units of the signal. Positive. A
        number or tuple is fixed; a JAX array (a scalar, or of a sample's shape) is trained.
    - `graded`: whether spikes are any whole numbers (static), or only −1, 0 and 1.
    - `surrogate`, `checkpoint_every`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].
        `surrogate` is in units of the signal, and used for binary spikes only. `dtype` must
        hold −1; a narrow integer dtype may overflow.

    `decode(spikes)` returns s. For graded spikes it is within one threshold of the signal.

    **Derivative:** for graded spikes straight-through, that of `r / threshold`; for binary ones
    the surrogate's. It goes through s, with respect to the signal and the threshold, in forward
    and reverse mode. **NaN** gives NaN from that step on. An **infinity** gives an infinite
    spike, one of the opposite sign at the next step, and then NaN; a binary encoder fires at
    its step and then continues.

    Source: O'Connor & Welling, "Sigma Delta Quantized Networks", ICLR (2017); Yoon, "LIF and
    Simplified SRM Neurons Encode Signals Into Spikes via a Form of Asynchronous Pulse
    Sigma–Delta Modulation", IEEE Transactions on Neural Networks and Learning Systems 28
    (2017).
    """

    threshold: Constant = eqx.field(converter=constant("threshold", positive=True))
    graded: bool = eqx.field(default=True, static=True, converter=flag("graded"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        refuse_unsigned(self.dtype)

    def adjustment(self, data: DataRange) -> Adjustment:
        """The threshold; the first sample is a change too, from 0."""
        return adjust(self, "threshold", 1e-6 * data.span, 2 * data.size)

    @checked
    def init(self, x: First) -> SentState:
        """A reconstruction of 0, for a signal of samples like `x`."""
        return SentState(zero_state(as_first(x)))

    @checked
    def step(
        self,
        state: SentState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[SentState, Shaped[Array, "*shape"]]:
        """One sample: `(state, spikes)`, the state after the spikes; `key` is ignored."""
        x = as_floating(x)
        sample = x.astype(state.sent.dtype)
        threshold = constant_like("threshold", self.threshold, sample)
        rest = sample - state.sent
        reached = met(broadcast_like(threshold, sample), sample, rest)
        if self.graded:
            rounding = jnp.sign(rest) * (threshold - reached)
            spikes = straight_through(
                jnp.trunc((rest + rounding) / threshold), rest / threshold
            )
        else:
            spikes = signed_spikes(self.surrogate, rest, reached)
        state = SentState(state.sent + threshold * spikes)
        return state, as_spikes(spikes, self.dtype or x.dtype)

    @checked
    def decode(self, spikes: Signal) -> Float[Array, "time *shape"]:
        """The reconstructed signal: the sum of the spikes up to each step.

        **Arguments:**

        - `spikes`: of shape `"time *shape"`.
        """
        return cumulative(self.threshold, spikes)
