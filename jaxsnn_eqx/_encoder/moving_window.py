"""Spikes where a signal differs from its recent mean."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from .._adjust import Adjustment, DataRange, adjust_threshold
from .._integrate import integrate
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
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
    constant,
    constant_like,
    optional_positive_int,
    positive_int,
    refuse_unsigned,
    spike_dtype,
    zero_state,
)
from .base import AbstractSignalEncoder
from .rules import met, signed_spikes


class WindowState(NamedTuple):
    """The last samples, `"window *shape"`, zero before the first, and how many they are."""

    samples: Float[Array, "window *shape"]
    seen: Int[Array, ""]

    def mean(self, otherwise: Array) -> Array:
        """The mean of the samples so far; `otherwise` before the first."""
        filled = jnp.clip(self.seen, 1, self.samples.shape[0]).astype(otherwise.dtype)
        return jnp.where(self.seen == 0, otherwise, self.samples.sum(axis=0) / filled)

    def push(self, sample: Array) -> "WindowState":
        """The window with `sample` in place of the oldest."""
        samples = jnp.concatenate([self.samples[1:], sample[None]])
        return WindowState(samples, jnp.minimum(self.seen, len(samples) - 1) + 1)


class MovingWindowEncoder(AbstractSignalEncoder):
    r"""Encodes the differences between a signal and the mean of its last samples.

    With $m_t$ the mean of the `window` samples before step $t$ (of all of them, while they are
    fewer) and $\theta$ = `threshold`:

    $$
    z_t = \begin{cases}
    1 & x_t - m_t \ge \theta \\
    -1 & x_t - m_t \le -\theta \\
    0 & \text{else}
    \end{cases}
    $$

    The first sample never fires.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import MovingWindowEncoder
    >>> encoder = MovingWindowEncoder(threshold=1.0, window=2)
    >>> encoder(jnp.array([1.0, 1.0, 2.0, 2.0, 3.0, 0.0]))
    Array([ 0.,  0.,  1.,  0.,  1., -1.], dtype=float32)

    ```

    **Arguments:**

    - `threshold`: the smallest difference that fires, in units of the signal. Positive. A
        number or tuple is fixed; a JAX array (a scalar, or of a sample's shape) is trained.
    - `window`: number of samples in the mean, at least 1 (static).
    - `surrogate`, `checkpoint_every`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].
        `surrogate` is in units of the signal; `dtype` must hold −1.

    `decode(spikes, start)` inverts the encoding: each sample is the mean of the last decoded
    ones, plus the threshold times its spike. The part of a difference above the threshold is
    lost, so the decoded jumps and fast oscillations are smaller than the signal's.

    **Derivative:** the surrogate's, with respect to the signal (that of the mean included) and
    the threshold, in forward and reverse mode. A **NaN** sample gives NaN at its own step and,
    while it is in the window, at the next `window` steps. An **infinity** fires at its own
    step, and with the opposite sign while it is in the window; but it gives NaN as the first
    sample, or with another infinity of its sign in the window.

    Source: Kasabov et al., "Evolving spatio-temporal data machines based on the NeuCube
    neuromorphic framework", Neural Networks 78 (2016); Petro, Kasabov & Kiss (2020).
    """

    threshold: Constant = eqx.field(converter=constant("threshold", positive=True))
    window: int = eqx.field(default=3, static=True, converter=positive_int("window"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        refuse_unsigned(self.dtype)

    def adjustment(self, data: DataRange) -> Adjustment:
        """The threshold."""
        return adjust_threshold(self, data.span)

    @checked
    def init(self, x: First) -> WindowState:
        """An empty window, for a signal of samples like `x`."""
        x = as_first(x)
        samples = zero_state(x, before=(self.window,))
        return WindowState(samples, jnp.zeros((), jnp.int32))

    @checked
    def step(
        self,
        state: WindowState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[WindowState, Shaped[Array, "*shape"]]:
        """One sample: `(state, spikes)`; `key` is ignored."""
        x = as_floating(x)
        sample = x.astype(state.samples.dtype)
        threshold = constant_like("threshold", self.threshold, sample)
        change = sample - state.mean(sample)
        reached = met(broadcast_like(threshold, sample), sample, change)
        spikes = signed_spikes(self.surrogate, change, reached)
        state = state.push(sample)
        return state, as_spikes(spikes, self.dtype or x.dtype)

    @checked
    def decode(
        self,
        spikes: Signal,
        start: AnyInput = 0.0,
    ) -> Float[Array, "time *shape"]:
        """The reconstructed signal: the recent mean of the decoded samples, plus the spikes.

        **Arguments:**

        - `spikes`: of shape `"time *shape"`.
        - `start`: the signal's first sample, a number or of shape `"*shape"`.
        """
        spikes = as_wide(spikes)
        steps = constant_like("threshold", self.threshold, spikes) * spikes
        first = jnp.zeros_like(steps, shape=steps.shape[1:])
        first = first + constant_like("start", as_floating(start), first)

        return _decoded(self.init(first), first, steps)


@eqx.filter_jit
def _decoded(state: WindowState, first: Array, steps: Array) -> Array:
    def step(state: WindowState, x: Array) -> tuple[WindowState, Array]:
        sample = state.mean(first) + x
        return state.push(sample), sample

    return integrate(step, state, steps)[1]
