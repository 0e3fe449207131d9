"""What the codes of change share: how they start, and how they fire."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray, Shaped

from .._foreseen import integrate_foreseen
from .._layer import Cell
from .._surrogate import AbstractSurrogate
from .._types import (
    Constant,
    NestedNumbers,
    as_floating,
    as_spikes,
    as_wide,
    checked,
    constant_like,
    refuse_unsigned,
    zero_state,
)
from .base import AbstractSignalEncoder
from .rules import at_least, keep_nan, signed_spikes

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
        """The reference of `sample`: the first is its own."""
        return jnp.where(self.started, self.reference, sample)


class AbstractReferenceEncoder(AbstractSignalEncoder):
    """A signal encoder that compares each sample with a reference that it carries."""

    @checked
    def init(self, x: Shaped[ArrayLike, "*shape"] | NestedNumbers) -> ReferenceState:
        """No reference yet, for a signal of samples like `x`."""
        return ReferenceState(zero_state(as_floating(x)), jnp.zeros((), bool))


class AbstractChangeEncoder(AbstractReferenceEncoder):
    """Fires where the change since the previous sample reaches a threshold."""

    threshold: AbstractVar[Constant]
    signed: AbstractVar[bool]
    surrogate: AbstractVar[AbstractSurrogate]
    dtype: AbstractVar[Any]

    def __check_init__(self):
        if self.signed:
            refuse_unsigned(self.dtype)

    @checked
    def step(
        self,
        state: ReferenceState,
        x: Shaped[ArrayLike, "*shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[ReferenceState, Shaped[Array, "*shape"]]:
        """One sample: `(state, spikes)`; `key` is ignored."""
        x = as_floating(x)
        sample = x.astype(state.reference.dtype)
        threshold = constant_like("threshold", self.threshold, sample)
        previous = state.for_sample(sample)
        change = sample - previous
        if self.signed:
            spikes = signed_spikes(self.surrogate, change, threshold)
        else:
            spikes = at_least(self.surrogate, change - threshold)
        state = ReferenceState(keep_nan(previous, sample), jnp.ones((), bool))
        return state, as_spikes(spikes, self.dtype or x.dtype)

    @checked
    def run(
        self,
        state: ReferenceState,
        xs: Shaped[ArrayLike, "time *shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[ReferenceState, Shaped[Array, "time *shape"]]:
        """A chunk of the signal, with the state carried: `(state, spikes)`.

        **Arguments:**

        - `state`: from `init`, or from the chunk before.
        - `xs`: the signal, of shape `"time *shape"`.
        - `key`: ignored. (Keyword only.)
        """
        every = self.checkpoint_every
        cell = Cell(self, None, key)
        return integrate_foreseen(
            _previous_samples, cell, state, as_floating(xs), checkpoint_every=every
        )

    @checked
    def decode(
        self,
        spikes: Shaped[ArrayLike, "time *shape"] | NestedNumbers,
        start: Shaped[ArrayLike, "..."] | NestedNumbers = 0.0,
    ) -> Float[Array, "time *shape"]:
        """The signal that the spikes tell of: each is a change of one threshold.

        **Arguments:**

        - `spikes`: of shape `"time *shape"`.
        - `start`: the signal's first sample, a number or of shape `"*shape"`.
        """
        return cumulative(self.threshold, spikes, start)


def _previous_samples(state: ReferenceState, xs: Array):
    """The state before each sample, and the last: each sample is the next one's reference."""
    samples = xs.astype(state.reference.dtype)
    first = state.for_sample(samples[0])[None]
    before = jnp.concatenate([first, samples[:-1]])
    started = jnp.ones((), bool)
    return (
        ReferenceState(before, jnp.broadcast_to(started, len(xs))),
        ReferenceState(samples[-1], started),
    )


def cumulative(threshold: Constant, spikes: Any, start: Any = 0.0) -> Array:
    """`start` plus a threshold for every spike so far."""
    spikes = as_wide(spikes)
    steps = constant_like("threshold", threshold, spikes) * jnp.cumsum(spikes, axis=0)
    return steps + constant_like("start", as_floating(start), steps)
