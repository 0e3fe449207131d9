"""Decoders, which turn a sequence into one value per class."""

from abc import abstractmethod
from typing import NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, Shaped

from ._layer import AbstractLayer, AbstractTimed
from ._types import (
    First,
    Sample,
    as_first,
    as_floating,
    checked,
    positive_number,
    unsigned,
    zero_state,
)


class AbstractDecoder(AbstractLayer):
    """A layer that reduces over time: `"time *shape"` to `"*shape"`.

    `step` and `run` return the value so far, and the call returns the last one. Subclasses
    write `init`, `absorb` (which adds a chunk of time to the state) and `value`.
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
        """`absorb`, and the value after it."""
        state = self.absorb(state, xs)
        return state, self.value(state).astype(xs.dtype)


class Highest(NamedTuple):
    """The largest value so far, of shape `"*shape"`, and whether there is one yet."""

    highest: Float[Array, "*shape"]
    started: Bool[Array, ""]


class MaxOverTime(AbstractDecoder):
    """The largest value over time, the usual readout of leaky integrators.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import MaxOverTime
    >>> MaxOverTime()(jnp.array([[0.0, 1.0], [3.0, -1.0]]))
    Array([3., 1.], dtype=float32)

    ```

    **Derivative:** 1 at the step of the maximum, and shared between equal maxima. **NaN** gives
    NaN; for a sequence of length 0 the value is -inf.

    Source: `jaxsnn.discrete.decode.max_over_time_decode` (jaxsnn 0.3.0), without its
    log-softmax, which the cross-entropy losses of Optax contain.
    """

    @checked
    def init(self, x: First) -> Highest:
        """No value yet, for an input like `x`, in float32 or wider."""
        return Highest(zero_state(as_first(x)), jnp.zeros((), bool))

    def absorb(self, state: Highest, xs: Array) -> Highest:
        if not len(xs):
            return state
        highest = jnp.max(xs, axis=0).astype(state.highest.dtype)
        both = jnp.maximum(state.highest, highest)
        return Highest(jnp.where(state.started, both, highest), jnp.ones((), bool))

    def value(self, state: Highest) -> Array:
        return _or_minus_infinity(*state)


@jax.jit  # else `jax_debug_infs` would find the infinity, which is not returned
def _or_minus_infinity(highest: Array, started: Array) -> Array:
    return jnp.where(started, highest, -jnp.inf)


class SumAndCount(NamedTuple):
    """The sum over the steps so far, of shape `"*shape"`, and their number."""

    total: Array
    steps: Array


class MeanOverTime(AbstractDecoder):
    """The mean over time; for spikes, the firing rate per step.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import MeanOverTime
    >>> MeanOverTime()(jnp.array([[0.0, 1.0], [1.0, 1.0]]))
    Array([0.5, 1. ], dtype=float32)

    ```

    Divided by `dt` it is a rate in hertz; spikes of −1 are subtracted. **Derivative:** exact.
    **NaN** gives NaN, and so does a sequence of length 0. Each chunk is summed before it is
    added, so the last digits depend on the chunks. The sum is kept in float32 or wider: when
    single spikes are added, it stays at 2^24.
    """

    @checked
    def init(self, x: First) -> SumAndCount:
        """A sum of 0 over 0 steps for an input like `x`, in float32 or wider."""
        return SumAndCount(zero_state(as_first(x)), jnp.zeros((), jnp.int32))

    def absorb(self, state: SumAndCount, xs: Array) -> SumAndCount:
        total = _add_over_time(state.total, xs)
        steps = jnp.maximum(state.steps + xs.shape[0], state.steps)  # stays at 2^31
        return SumAndCount(total, steps)

    def value(self, state: SumAndCount) -> Array:
        return state.total / state.steps.astype(state.total.dtype)


class SpikeCount(AbstractDecoder):
    """The number of spikes; signed and graded spikes count as 1.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import SpikeCount
    >>> SpikeCount()(jnp.array([[0.0, 1.0], [1.0, 1.0]]))
    Array([1., 2.], dtype=float32)

    ```

    The count is exact up to 2^24 spikes per neuron, since it is kept in float32 or wider, and
    stays there when single spikes are added. The
    output is rounded to the dtype of the input. **Derivative:** exact: 1 for a positive spike,
    -1 for a negative one. **NaN** gives NaN.
    """

    @checked
    def init(self, x: First) -> Shaped[Array, "*shape"]:
        """A count of 0 for an input like `x`, in float32 or wider."""
        return zero_state(as_first(x))

    def absorb(self, state: Array, xs: Array) -> Array:
        return _add_over_time(state, unsigned(xs))

    def value(self, state: Array) -> Array:
        return state


class WaitingState(NamedTuple):
    """The steps before the first spike, and 1 where there was none yet; `"*shape"` each."""

    steps: Array
    waiting: Array


class FirstSpikeTime(AbstractDecoder, AbstractTimed):
    r"""The time of the first spike, in seconds; for a silent neuron, the end of the sequence.

    With $z_s$ the spikes at step $s$, the time is

    $$
    dt \sum_t \prod_{s \le t} (1 - z_s)
    $$

    A first spike at step k gives `k · dt`. A neuron that is silent for T steps has the time
    `T · dt` so far, which is later than any spike; T is counted up to 2^24 in float32. Signed
    and graded spikes count as 1.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import FirstSpikeTime
    >>> FirstSpikeTime()(jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]))
    Array([0.001, 0.003], dtype=float32)

    ```

    **Arguments:**

    - `dt`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    **Derivative:** that of the formula. A larger $z$ before the first spike makes the time
    earlier, to that step; a smaller $z$ at the first spike makes it later, to the next spike.
    Neurons with a surrogate can therefore learn to fire earlier or later. **NaN** gives NaN
    from that step on.
    """

    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))

    @checked
    def init(self, x: First) -> WaitingState:
        """No steps and no spikes yet, for spikes like `x`; in float32 or wider."""
        zeros = zero_state(as_first(x))
        return WaitingState(zeros, zeros + 1)

    def absorb(self, state: WaitingState, xs: Array) -> WaitingState:
        spikes = unsigned(xs.astype(state.waiting.dtype))
        waiting = state.waiting[None] * jnp.cumprod(1 - spikes, axis=0)
        last = jnp.concatenate([state.waiting[None], waiting])[-1]  # also of no steps
        return WaitingState(state.steps + waiting.sum(axis=0), last)

    def value(self, state: WaitingState) -> Array:
        return state.steps * self.dt


def _add_over_time(total: Array, xs: Array) -> Array:
    return total + jnp.sum(xs, axis=0, dtype=total.dtype)
