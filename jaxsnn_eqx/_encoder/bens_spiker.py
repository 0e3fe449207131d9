"""Spikes from which a filter reconstructs the signal."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from .._adjust import Adjustment, DataRange, with_field
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    Constant,
    First,
    Sample,
    Signal,
    as_first,
    as_floating,
    as_spikes,
    as_wide,
    broadcast_like,
    checked,
    constant,
    constant_like,
    optional_positive_int,
    spike_dtype,
    zero_state,
)
from .base import AbstractSignalEncoder
from .rules import at_least


class BufferState(NamedTuple):
    """The last samples minus the taps of the spikes, oldest first, and their number."""

    rest: Float[Array, "taps *shape"]
    seen: Int[Array, ""]


class BensSpikerEncoder(AbstractSignalEncoder):
    r"""Encodes a signal as spikes that approximate it when they are filtered (BSA).

    A spike at time $u$ stands for the filter's taps $h_0, \dots, h_{M-1}$ at the times $u$ to
    $u + M - 1$. The rest $s$ starts as the signal itself. For one $u$ after the other:

    $$
    \begin{split}
    e_1 &\leftarrow \sum_k \left|s_{u+k} - h_k\right| \\
    e_2 &\leftarrow \sum_k \left|s_{u+k}\right| \\
    z_u &\leftarrow 1 \text{ if } e_1 \le e_2 - \text{threshold} \text{, else } 0 \\
    s_{u+k} &\leftarrow s_{u+k} - z_u h_k
    \end{split}
    $$

    This needs $M - 1$ later samples, so the spikes come *$M - 1$ steps late*: step $t$ returns
    the spike of $u = t - (M - 1)$, and the first $M - 1$ steps are silent. `decode` removes the
    delay. The signal must not be negative: shift it.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import BensSpikerEncoder
    >>> encoder = BensSpikerEncoder(filter=(0.5, 1.0, 0.5), threshold=0.5)
    >>> spikes = encoder(jnp.array([0.5, 1.0, 1.0, 1.0, 0.5, 0.0]))
    >>> spikes
    Array([0., 0., 1., 0., 1., 0.], dtype=float32)
    >>> encoder.decode(spikes)
    Array([0.5, 1. , 1. , 1. , 0.5, 0. ], dtype=float32)

    ```

    **Arguments:**

    - `filter`: the taps, at least one, in units of the signal, for example those of
        `scipy.signal.firwin`. Scale them so that their sum is above the signal, since spikes at
        every step decode to that sum. A tuple is fixed, a JAX array is trained.
    - `threshold`: how much a spike must reduce the error, in units of the signal, summed over
        the taps. A number or tuple is fixed; a JAX array (a scalar, or of a sample's shape) is
        trained. At 0 there are also spikes that leave the error as it is. At 0.8 to 0.9 of the
        taps' sum the decoded signal has the mean of the signal, but a signal below the highest
        tap is silent.
    - `surrogate`: in units of the error, which is about the taps' sum S. To train, use a
        surrogate of that width, such as `Sigmoid(slope=8 / S)`.
    - `checkpoint_every`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    `decode(spikes)` filters the spikes and removes the delay. The decoded signal is too small
    at the first M − 1 samples, before which there are no spikes, and at the last M − 1 samples,
    some of whose spikes would come later.

    **Derivative:** the surrogate's, through the errors and the subtraction, with respect to the
    signal, the taps and the threshold, in forward and reverse mode. **NaN** gives NaN from that
    step on (the first M − 1 steps stay silent), and so do **infinities**.

    Source: Schrauwen & Van Campenhout, "BSA, a fast and accurate spike train encoding scheme",
    IJCNN (2003).
    """

    filter: tuple | Array = eqx.field(converter=constant("filter"))
    threshold: Constant = eqx.field(converter=constant("threshold"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        if np.ndim(self.filter) != 1 or np.size(self.filter) < 1:
            raise ValueError(
                f"`filter` must have one axis with at least one tap, got shape "
                f"{np.shape(self.filter)}."
            )

    @property
    def delay(self) -> int:
        """How many steps late the spikes are: one less than the number of taps."""
        return len(self.filter) - 1

    @property
    def input_range(self) -> tuple[Any, Any]:
        """From 0 to the sum of the taps, which is decoded from spikes at every step."""
        return 0.0, sum(self.filter[1:], self.filter[0])

    @property
    def needs_range(self) -> bool:
        """Spikes only add to the decoded signal, so it must not be negative."""
        return True

    def adjustment(self, data: DataRange) -> Adjustment:
        """The sum of the taps, and the threshold in proportion to it."""
        taps = jnp.asarray(self.filter)

        def apply(total: Array) -> "BensSpikerEncoder":
            factor = total / taps.sum()
            scaled = with_field(self, "filter", taps * factor)
            return with_field(scaled, "threshold", jnp.asarray(self.threshold) * factor)

        return Adjustment(
            "filter", 1e-3 * data.high, 1e4 * data.high, False, apply, shared=True
        )

    @checked
    def init(self, x: First) -> BufferState:
        """A rest of 0 and no samples, for a signal of samples like `x`."""
        x = as_first(x)
        rest = zero_state(x, before=(self.delay + 1,))
        return BufferState(rest, jnp.zeros((), jnp.int32))

    @checked
    def step(
        self,
        state: BufferState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[BufferState, Shaped[Array, "*shape"]]:
        """Takes a sample and returns the spike of `delay` samples ago; `key` is ignored."""
        x = as_floating(x)
        sample = x.astype(state.rest.dtype)
        threshold = constant_like("threshold", self.threshold, sample)
        rest = jnp.concatenate([state.rest[1:], sample[None]])
        taps = self._taps(rest)
        gain = (jnp.abs(rest) - jnp.abs(rest - taps)).sum(axis=0)
        spikes = at_least(self.surrogate, gain - threshold)
        spikes = jnp.where(state.seen >= self.delay, spikes, 0)
        seen = jnp.minimum(state.seen, self.delay) + 1  # a count of all would run out
        state = BufferState(rest - taps * spikes[None], seen)
        return state, as_spikes(spikes, self.dtype or x.dtype)

    @checked
    def decode(self, spikes: Signal) -> Float[Array, "time *shape"]:
        """The reconstructed signal: the filtered spikes, without the delay.

        **Arguments:**

        - `spikes`: of shape `"time *shape"`.
        """
        return _decoded(self, as_wide(spikes))

    def _taps(self, rest: Array) -> Array:
        taps = jnp.asarray(self.filter, rest.dtype).reshape(-1, *(1,) * (rest.ndim - 1))
        return broadcast_like(taps, rest)


@eqx.filter_jit
def _decoded(encoder: BensSpikerEncoder, spikes: Array) -> Array:
    length, delay = spikes.shape[0], encoder.delay
    zeros = jnp.zeros_like(spikes, shape=(delay, *spikes.shape[1:]))
    padded = jnp.concatenate([spikes, zeros])  # the spike of u is at u + delay
    taps = jnp.asarray(encoder.filter, spikes.dtype)
    parts = [taps[k] * padded[delay - k : delay - k + length] for k in range(delay + 1)]
    return sum(parts[1:], parts[0])
