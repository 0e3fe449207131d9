"""Decoders: a sequence to one value per class."""

from abc import abstractmethod
from typing import NamedTuple, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree, Shaped

from ._layer import AbstractLayer, AbstractTimed
from ._types import Sample, as_floating, checked, positive_number, zero_state


class AbstractDecoder(AbstractLayer):
    """A layer that reduces over time: `"time *shape"` to `"*shape"`.

    `step` and `run` return the value so far, and the call returns the last one. Subclasses
    write `init`, `absorb` (a chunk of time into the state) and `value`.
    """

    @abstractmethod
    def absorb(self, state: PyTree, xs: Array) -> PyTree:
        """The state after the steps `xs`, time on axis 0."""

    @abstractmethod
    def value(self, state: PyTree) -> Array:
        """The decoded value so far, in the dtype of the state."""

    @property
    @final
    def seq_length(self) -> None:
        """`None`: its input has a time axis."""
        return None

    @final
    @checked
    def step(
        self, state: PyTree, x: Sample, *, key: PRNGKeyArray | None = None
    ) -> tuple[PyTree, Shaped[Array, "*shape"]]:
        """One step: `(state, value)`, the value over all steps so far."""
        return self.run_chunk(state, as_floating(x)[None], None, key)

    @final
    @checked
    def run_chunk(
        self,
        state: PyTree,
        xs: Shaped[Array, "time *shape"],
        length: int | None,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Shaped[Array, "*shape"]]:
        """`absorb`, and the value then."""
        state = self.absorb(state, xs)
        return state, self.value(state).astype(xs.dtype)


class MaxOverTime(AbstractDecoder):
    """The largest value over time: the usual readout of leaky integrators.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import MaxOverTime
    >>> MaxOverTime()(jnp.array([[0.0, 1.0], [3.0, -1.0]]))
    Array([3., 1.], dtype=float32)

    ```

    **Derivative:** to the step of the maximum; ties share it. **NaN** gives NaN; over no
    steps at all the value is -inf.

    Source: `jaxsnn.discrete.decode.max_over_time_decode` (jaxsnn 0.3.0), without its
    log-softmax: the logits go to the loss, e.g. optax's cross-entropy.
    """

    @checked
    def init(self, x: Sample) -> Shaped[Array, "*shape"]:
        """-inf for an input like `x`, in float32 or wider."""
        return zero_state(as_floating(x)) - jnp.inf

    def absorb(self, state: Array, xs: Array) -> Array:
        highest = jnp.max(xs, axis=0, initial=-jnp.inf).astype(state.dtype)
        return jnp.maximum(state, highest)

    def value(self, state: Array) -> Array:
        return state


class SumAndCount(NamedTuple):
    """The sum over the steps so far, of shape `"*shape"`, and how many there were."""

    total: Array
    steps: Array


class MeanOverTime(AbstractDecoder):
    """The mean over time: of spikes, the firing rate per step.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import MeanOverTime
    >>> MeanOverTime()(jnp.array([[0.0, 1.0], [1.0, 1.0]]))
    Array([0.5, 1. ], dtype=float32)

    ```

    Divided by `dt` it is a rate in hertz. **Derivative:** exact. **NaN** gives NaN, and so
    does a sequence without steps. Chunks are summed before they are added, so between
    chunkings the last digits may differ.
    """

    @checked
    def init(self, x: Sample) -> SumAndCount:
        """A sum of 0 over 0 steps for an input like `x`, in float32 or wider."""
        return SumAndCount(zero_state(as_floating(x)), jnp.zeros((), jnp.int32))

    def absorb(self, state: SumAndCount, xs: Array) -> SumAndCount:
        total = _add_over_time(state.total, xs)
        return SumAndCount(total, state.steps + xs.shape[0])

    def value(self, state: SumAndCount) -> Array:
        return state.total / state.steps.astype(state.total.dtype)


class SpikeCount(AbstractDecoder):
    """The sum over time: of spikes, their number.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import SpikeCount
    >>> SpikeCount()(jnp.array([[0.0, 1.0], [1.0, 1.0]]))
    Array([1., 2.], dtype=float32)

    ```

    Exact up to 2^24 spikes per neuron (the count is kept in float32 or wider), in the
    output up to what the input's dtype holds. **Derivative:** exact. **NaN** gives NaN.
    """

    @checked
    def init(self, x: Sample) -> Shaped[Array, "*shape"]:
        """A count of 0 for an input like `x`, in float32 or wider."""
        return zero_state(as_floating(x))

    def absorb(self, state: Array, xs: Array) -> Array:
        return _add_over_time(state, xs)

    def value(self, state: Array) -> Array:
        return state


class WaitingState(NamedTuple):
    """The steps without a spike so far, and 1 where no spike has come yet; `"*shape"` each."""

    steps: Array
    waiting: Array


class FirstSpikeTime(AbstractDecoder, AbstractTimed):
    """The time of the first spike, in seconds; of a silent neuron, the end of the sequence.

    The time is `dt` for every step up to which nothing fired, `dt · Σ_t Π_{s ≤ t} (1 − z_s)`: a
    spike at step k gives `k · dt`, and silence over T steps `T · dt`, which is later than any
    spike and still increases while nothing comes.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import FirstSpikeTime
    >>> FirstSpikeTime()(jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]))
    Array([0.001, 0.003], dtype=float32)

    ```

    **Arguments:**

    - `dt`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    **Derivative:** that of the formula: a spike more at a step before the first brings the time
    forward to it, and the first one lost puts it off to the next. So neurons with a surrogate
    learn to fire earlier or later. **NaN** gives NaN from that step on.
    """

    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))

    @checked
    def init(self, x: Sample) -> WaitingState:
        """No step yet, and all waiting, for spikes like `x`; in float32 or wider."""
        zeros = zero_state(as_floating(x))
        return WaitingState(zeros, zeros + 1)

    def absorb(self, state: WaitingState, xs: Array) -> WaitingState:
        waiting = state.waiting[None] * jnp.cumprod(1 - xs.astype(state.waiting.dtype), axis=0)
        last = jnp.concatenate([state.waiting[None], waiting])[-1]  # also of no steps
        return WaitingState(state.steps + waiting.sum(axis=0), last)

    def value(self, state: WaitingState) -> Array:
        return state.steps * self.dt


def _add_over_time(total: Array, xs: Array) -> Array:
    return total + jnp.sum(xs, axis=0, dtype=total.dtype)
