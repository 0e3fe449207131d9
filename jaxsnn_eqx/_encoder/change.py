"""Encoders that compare each sample with the previous one."""

from typing import TYPE_CHECKING, Any, NamedTuple, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Shaped

from .._adjust import Adjustment, DataRange, adjust_threshold
from .._layer import AbstractEncoder
from .._surrogate import AbstractSurrogate
from .._types import (
    AnyInput,
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
    constant_like,
    first_step,
    refuse_unsigned,
    zero_state,
)
from .rules import at_least, met, signed_spikes

if TYPE_CHECKING:
    # else type checkers would take abstract fields for the constructor's first arguments
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar


class ReferenceState(NamedTuple):
    """What the next sample is compared with, `"*shape"`, and whether there is one yet."""

    reference: Float[Array, "*shape"]
    started: Bool[Array, ""]

    def for_sample(self, sample: Array) -> Array:
        """The value to compare `sample` with: for the first sample, that sample itself."""
        return jnp.where(self.started, self.reference, sample)


class AbstractChangeEncoder(AbstractEncoder):
    """Fires where the change since the previous sample reaches a threshold.

    The state is the last sample alone, so that a chunk is computed without a loop. Subclasses
    have the fields below.
    """

    threshold: AbstractVar[Constant]
    signed: AbstractVar[bool]
    surrogate: AbstractVar[AbstractSurrogate]
    dtype: AbstractVar[Any]

    def __check_init__(self):
        if self.signed:
            refuse_unsigned(self.dtype)

    @property
    @final
    def seq_length(self) -> None:
        """`None`: its input has a time axis."""
        return None

    def adjustment(self, data: DataRange) -> Adjustment:
        """The threshold."""
        return adjust_threshold(self, data.span)

    @final
    @checked
    def init(self, x: First) -> ReferenceState:
        """The state before the first sample, for a signal of samples like `x`."""
        return ReferenceState(zero_state(as_first(x)), jnp.zeros((), bool))

    @final
    @checked
    def step(
        self, state: ReferenceState, x: Sample, *, key: PRNGKeyArray | None = None
    ) -> tuple[ReferenceState, Shaped[Array, "*shape"]]:
        """One sample: `(state, spikes)`; `key` is ignored."""
        state, spikes = self.run_chunk(state, as_floating(x)[None], None, key)
        return state, spikes[0]

    @final
    def run_chunk(
        self,
        state: ReferenceState,
        xs: Array,
        length: int | None,
        key: PRNGKeyArray | None,
    ) -> tuple[ReferenceState, Array]:
        """All steps at once."""
        samples = xs.astype(state.reference.dtype)
        first = state.for_sample(first_step(samples))
        # not `jnp.diff`, whose derivative takes ten times the time and twice the memory
        before = jnp.concatenate([first[None], samples[:-1]])[: len(samples)]
        change = samples - before
        threshold = constant_like("threshold", self.threshold, first)
        threshold = met(broadcast_like(threshold, change), samples, change)
        if self.signed:
            spikes = signed_spikes(self.surrogate, change, threshold)
        else:
            spikes = at_least(self.surrogate, change - threshold)
        if len(samples):
            state = ReferenceState(samples[-1], jnp.ones((), bool))
        return state, as_spikes(spikes, self.dtype or xs.dtype)

    @final
    @checked
    def decode(self, spikes: Signal, start: AnyInput = 0.0) -> Float[Array, "time *shape"]:
        """The reconstructed signal: each spike is a change by one threshold.

        **Arguments:**

        - `spikes`: of shape `"time *shape"`.
        - `start`: the signal's first sample, a number or of shape `"*shape"`.
        """
        return cumulative(self.threshold, spikes, start)


def cumulative(threshold: Constant, spikes: Any, start: Any = 0.0) -> Array:
    """`start` plus a threshold for every spike so far."""
    return _cumulative(threshold, as_wide(spikes), as_floating(start))


@eqx.filter_jit
def _cumulative(threshold: Constant, spikes: Array, start: Array) -> Array:
    steps = constant_like("threshold", threshold, spikes) * jnp.cumsum(spikes, axis=0)
    return steps + constant_like("start", start, steps)
