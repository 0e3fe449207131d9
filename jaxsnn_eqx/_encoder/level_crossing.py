"""Spikes where a signal crosses one of several levels."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from .._adjust import Adjustment, DataRange, with_field
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    AnyInput,
    First,
    NestedNumbers,
    Sample,
    as_first,
    as_floating,
    as_spikes,
    as_wide,
    broadcast_like,
    checked,
    constant,
    optional_positive_int,
    spike_dtype,
    zero_state,
)
from .base import AbstractSignalEncoder
from .change import ReferenceState
from .rules import at_least


class LevelCrossingEncoder(AbstractSignalEncoder):
    r"""Encodes a signal by its crossings of several levels, with two channels for each level.

    For a level $l$, let $a_t$ be 1 where $x_t \ge l$, and 0 elsewhere. At each step,

    $$
    \begin{split}
    \text{up}_t &= a_t (1 - a_{t-1}) \\
    \text{down}_t &= (1 - a_t) a_{t-1}
    \end{split}
    $$

    The first sample never fires. The channels are a new last axis: up of every level, then down
    of every level.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LevelCrossingEncoder
    >>> encoder = LevelCrossingEncoder(levels=(0.0, 1.0))
    >>> spikes = encoder(jnp.array([-0.5, 0.5, 1.5, 0.5]))
    >>> spikes
    Array([[0., 0., 0., 0.],
           [1., 0., 0., 0.],
           [0., 1., 0., 0.],
           [0., 0., 0., 1.]], dtype=float32)
    >>> encoder.decode(spikes, start=-0.5)
    Array([-0.5,  0.5,  1.5,  0.5], dtype=float32)

    ```

    **Arguments:**

    - `levels`: at least two, increasing, in units of the signal. A tuple is fixed, a JAX array
        is trained.
    - `surrogate`, `checkpoint_every`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].
        `surrogate` is in units of the signal.

    `decode(spikes, start)` returns the middle of the two levels between which the signal is.
    The error is at most half their distance, if the signal stays within one such distance of
    the levels.

    **Derivative:** the surrogate's, through both samples, with respect to the signal and the
    levels, in forward and reverse mode. A **NaN** sample gives NaN at its own step and at the
    next; **infinities** are above or below all levels.

    Source: Sayiner, Sorensen & Viswanathan, "A level-crossing sampling scheme for A/D
    conversion", IEEE Transactions on Circuits and Systems II 43 (1996).
    """

    levels: tuple | Array = eqx.field(converter=constant("levels"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        levels = self.levels
        if np.ndim(levels) != 1 or np.size(levels) < 2:
            raise ValueError(
                f"`levels` must have one axis with at least two, got shape {np.shape(levels)}."
            )
        known = not isinstance(levels, Tracer)
        if known and not (np.diff(np.asarray(levels)) > 0).all():
            raise ValueError(f"`levels` must increase, got {levels}.")

    @property
    def input_range(self) -> tuple[Any, Any]:
        """From the lowest to the highest level."""
        return self.levels[0], self.levels[-1]

    def adjustment(self, data: DataRange) -> Adjustment:
        """The mean distance of the levels, which move to the median of the data."""
        levels = jnp.asarray(self.levels)
        distance = (levels[-1] - levels[0]) / (levels.size - 1)
        positions = (levels - levels.mean()) / distance

        def apply(distance: Array) -> "LevelCrossingEncoder":
            moved = data.middle + distance * positions
            return with_field(self, "levels", moved)

        low, high = 1e-6 * data.span, data.span
        return Adjustment("levels", low, high, False, apply, shared=True)

    @checked
    def init(self, x: First) -> ReferenceState:
        """The state before the first sample, for a signal of samples like `x`."""
        x = as_first(x)
        above = zero_state(x, after=(len(self.levels),))
        return ReferenceState(above, jnp.zeros((), bool))

    @checked
    def step(
        self,
        state: ReferenceState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[ReferenceState, Shaped[Array, "*shape channels"]]:
        """One sample: `(state, spikes)`, with a last axis of channels; `key` is ignored."""
        x = as_floating(x)
        sample = x.astype(state.reference.dtype)[..., None]
        levels = jnp.asarray(self.levels, sample.dtype)
        above = at_least(self.surrogate, sample - broadcast_like(levels, state.reference))
        before = state.for_sample(above)
        spikes = jnp.concatenate([above * (1 - before), (1 - above) * before], axis=-1)
        state = ReferenceState(above, jnp.ones((), bool))
        return state, as_spikes(spikes, self.dtype or x.dtype)

    @checked
    def decode(
        self,
        spikes: Shaped[ArrayLike, "time *shape channels"] | NestedNumbers,
        start: AnyInput,
    ) -> Float[Array, "time *shape"]:
        """The reconstructed signal: the middle of the levels between which it is.

        **Arguments:**

        - `spikes`: of shape `"time *shape channels"`.
        - `start`: the signal's first sample, a number or of shape `"*shape"`.
        """
        return _decoded(self, as_wide(spikes), as_floating(start))


@eqx.filter_jit
def _decoded(encoder: LevelCrossingEncoder, spikes: Array, start: Array) -> Array:
    levels = jnp.asarray(encoder.levels, spikes.dtype)
    up, down = jnp.split(spikes, 2, axis=-1)
    start = jnp.broadcast_to(start.astype(spikes.dtype), spikes.shape[1:-1])
    below = jnp.searchsorted(levels, start, side="right")  # levels at or below the signal
    moves = jnp.cumsum((up - down).sum(axis=-1), axis=0).astype(below.dtype)
    ends = jnp.concatenate(
        [2 * levels[:1] - levels[1:2], levels, 2 * levels[-1:] - levels[-2:-1]]
    )
    middles = (ends[1:] + ends[:-1]) / 2
    return middles[jnp.clip(below[None] + moves, 0, levels.size)]
