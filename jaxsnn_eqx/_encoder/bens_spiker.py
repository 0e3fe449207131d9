"""Spikes that a filter turns back into the signal."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    Constant,
    Sample,
    Signal,
    as_floating,
    as_spikes,
    as_wide,
    checked,
    constant,
    constant_like,
    optional_positive_int,
    spike_dtype,
    state_dtype,
)
from .base import AbstractSignalEncoder
from .rules import at_least


class BufferState(NamedTuple):
    """What no spike has explained yet of the last samples, oldest first, and how many came."""

    rest: Float[Array, "taps *shape"]
    seen: Int[Array, ""]


class BensSpikerEncoder(AbstractSignalEncoder):
    """Encodes a signal as the spikes whose filtered train comes near it (BSA).

    A spike at time u adds the filter's taps `h_0, …, h_{M−1}` at u, …, u + M − 1. For each u in
    turn, with s what earlier spikes left of the signal:

        e1 <- Σ_k |s_{u+k} − h_k|
        e2 <- Σ_k |s_{u+k}|
        z  <- 1 if e1 <= e2 − threshold else 0
        s_{u+k} <- s_{u+k} − z · h_k

    It looks M − 1 steps ahead, so it *emits M − 1 steps late*: the spike at step t is that of
    u = t − (M − 1), and the first M − 1 steps are silent. `decode` takes the delay out. Never
    negative: shift the signal to be at least 0.

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

    - `filter`: the taps, at least one, in units of the signal; such as `scipy.signal.firwin`
        gives, scaled so that their sum exceeds the signal, which cannot be above one spike a
        step. A tuple is fixed, a JAX array trainable.
    - `threshold`: by how much a spike must lessen the error, in units of the signal, summed
        over the taps. A number or tuple is fixed, a JAX array (scalar, or of a sample's shape)
        trainable. At 0, a spike that changes nothing comes too; at 0.8 to 0.9 of the taps' sum
        what is decoded has the signal's mean, but a signal below the highest tap is silent.
    - `surrogate`: in units of the error, which is of the size of the taps' sum S: one as wide
        as that, such as `Sigmoid(slope=8 / S)`, trains.
    - `checkpoint_every`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    `decode(spikes)` filters the spikes, and gives the signal in its own time. For the last M −
    1 samples not all spikes have come, and the first M − 1 have none before them: it rises from
    0.

    **Derivative:** the surrogate's, through the errors and what the spike leaves, with respect
    to the signal, the taps and the threshold, in forward and reverse mode. **NaN** gives NaN
    from that step on (the first M − 1 steps stay silent), and so do **infinities**.

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
                f"`filter` must be taps on one axis, at least one, got shape "
                f"{np.shape(self.filter)}."
            )

    @property
    def delay(self) -> int:
        """How many steps late the spikes come: one less than the taps."""
        return len(self.filter) - 1

    @checked
    def init(self, x: Sample) -> BufferState:
        """No sample yet, for a signal of samples like `x`."""
        x = as_floating(x)
        rest = jnp.zeros_like(x, state_dtype(x), (self.delay + 1, *x.shape))
        return BufferState(rest, jnp.zeros((), jnp.int32))

    @checked
    def step(
        self,
        state: BufferState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[BufferState, Shaped[Array, "*shape"]]:
        """One sample in, and the spike of `delay` samples ago out; `key` is ignored."""
        x = as_floating(x)
        sample = x.astype(state.rest.dtype)
        threshold = constant_like("threshold", self.threshold, sample)
        rest = jnp.concatenate([state.rest[1:], sample[None]])
        taps = self._taps(rest)
        gain = (jnp.abs(rest) - jnp.abs(rest - taps)).sum(axis=0)
        spikes = at_least(self.surrogate, gain - threshold)
        spikes = jnp.where(state.seen >= self.delay, spikes, 0)
        state = BufferState(rest - taps * spikes[None], state.seen + 1)
        return state, as_spikes(spikes, self.dtype or x.dtype)

    @checked
    def decode(self, spikes: Signal) -> Float[Array, "time *shape"]:
        """The signal: the spikes, filtered, without the delay.

        **Arguments:**

        - `spikes`: of shape `"time *shape"`.
        """
        spikes = as_wide(spikes)
        length = spikes.shape[0]
        zeros = jnp.zeros_like(spikes, shape=(self.delay, *spikes.shape[1:]))
        padded = jnp.concatenate([spikes, zeros])  # the spike of u is at u + delay
        taps = jnp.asarray(self.filter, spikes.dtype)
        parts = [
            taps[k] * padded[self.delay - k : self.delay - k + length]
            for k in range(self.delay + 1)
        ]
        return sum(parts[1:], parts[0])

    def _taps(self, rest: Array) -> Array:
        taps = jnp.asarray(self.filter, rest.dtype).reshape(-1, *(1,) * (rest.ndim - 1))
        return jnp.broadcast_to(taps, rest.shape)
