"""The order of the values as spike times."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Int, PRNGKeyArray

from .._adjust import DataRange
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import as_spikes, positive_int, spike_dtype, state_dtype
from .base import AbstractStatelessEncoder
from .rules import spike_at


@ft.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _ranks(surrogate: AbstractSurrogate, x: Array) -> Array:
    """For each value, how many are larger, or equal and before it; NaN for NaN.

    The derivative is the surrogate's, of `Σ_j spike(x_j − x_i)`.
    """
    order = jnp.argsort(-x, stable=True)
    ranks = jnp.zeros_like(x).at[order].set(jnp.arange(x.size, dtype=x.dtype))
    return jnp.where(jnp.isnan(x), x, ranks)


@_ranks.defjvp
def _ranks_jvp(surrogate, primals, tangents):
    (x,), (x_dot,) = primals, tangents
    difference = x[None, :] - x[:, None]
    known = ~jnp.isnan(difference)
    ahead = jnp.where(known, surrogate.derivative(jnp.where(known, difference, 0)), 0)
    ranks_dot = ahead @ x_dot - ahead.sum(axis=1) * x_dot
    own = jnp.where(jnp.isnan(x), x, 0) * x_dot  # a NaN stays in its own place
    return _ranks(surrogate, x), jnp.where(jnp.isnan(x), own, ranks_dot)


class RankOrderEncoder(AbstractStatelessEncoder):
    r"""Encodes the order of the values: the i-th largest, counted from 0, fires at step i.

    The order is that of the whole (flattened) input; of equal values the first comes first.
    Each value fires once; ranks from `seq_length` on are silent. Only the order matters: any
    increasing function of the values gives the same spikes.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import RankOrderEncoder
    >>> RankOrderEncoder(seq_length=2)(jnp.array([0.1, 0.9, 0.5]))
    Array([[0., 1., 0.],
           [0., 0., 1.]], dtype=float32)

    ```

    **Arguments:**

    - `surrogate`: an `AbstractSurrogate`; its width determines how close two values must be
        to affect each other's rank in the derivative.
    - `seq_length`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    **Infinities** rank as they compare. **NaN** ranks last, and gives NaN at every step.

    **Derivative:** the rank of a value is the number of larger values,

    $$
    r_i = \sum_j \text{spike}(x_j - x_i)
    $$

    and has the surrogate's derivative. The derivative of the spikes with respect to $r_i$ is
    that of `SpatioTemporalEncoder` (−1 at step $r_i$, +1 at the next). The derivative compares
    all pairs of values, so its memory grows with the square of their number. In forward and
    reverse mode.

    Source: Thorpe & Gautrais, "Rank order coding", Computational Neuroscience: Trends in
    Research (1998).
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def at_rate(self, rate: float, dt: float, data: DataRange) -> "RankOrderEncoder":
        """The same with a window of another length, since each value fires once."""
        return RankOrderEncoder(max(round(1 / (rate * dt)), 1), self.surrogate, self.dtype)

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for values `x`; `key` is ignored."""
        ranks = _ranks(self.surrogate, x.astype(state_dtype(x)).ravel()).reshape(x.shape)
        spikes = jnp.where(ranks >= self.seq_length, 0, spike_at(self.seq_length, ranks, t))
        return as_spikes(spikes, self.dtype or x.dtype)
