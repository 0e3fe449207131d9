"""Send-on-delta: spikes that move a baseline which follows the signal."""

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from .._adjust import Adjustment, DataRange, adjust_threshold
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
    broadcast_like,
    checked,
    constant,
    constant_like,
    optional_positive_int,
    refuse_unsigned,
    spike_dtype,
    zero_state,
)
from .base import AbstractSignalEncoder
from .change import ReferenceState, cumulative
from .rules import met, signed_spikes


class StepForwardEncoder(AbstractSignalEncoder):
    r"""Encodes a signal by the steps of a baseline that follows it (also: send-on-delta).

    Each step updates the baseline $b$, which starts at the first sample, so that it never
    fires. With $\theta$ = `threshold`:

    $$
    \begin{split}
    z &\leftarrow \begin{cases}
    1 & x - b \ge \theta \\
    -1 & x - b \le -\theta \\
    0 & \text{else}
    \end{cases} \\
    b &\leftarrow b + \theta z
    \end{split}
    $$

    A slow drift fires too, whenever it adds up to a threshold. The baseline changes by at most
    one threshold per step.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import StepForwardEncoder
    >>> encoder = StepForwardEncoder(threshold=0.5)
    >>> spikes = encoder(jnp.array([2.0, 2.25, 2.5, 3.5, 3.5, 2.5]))
    >>> spikes
    Array([ 0.,  0.,  1.,  1.,  1., -1.], dtype=float32)
    >>> encoder.decode(spikes, start=2.0)
    Array([2. , 2. , 2.5, 3. , 3.5, 3. ], dtype=float32)

    ```

    **Arguments:**

    - `threshold`: the step of the baseline, in units of the signal. Positive. A number or tuple
        is fixed; a JAX array (a scalar, or of a sample's shape) is trained.
    - `surrogate`, `checkpoint_every`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer].
        `surrogate` is in units of the signal; `dtype` must hold −1.

    `decode(spikes, start)` returns the baseline. It is within one threshold of the signal, if
    the signal changes by at most one threshold per step.

    **Derivative:** the surrogate's, through the spike and the baseline, with respect to the
    signal and the threshold, in forward and reverse mode. **NaN** gives NaN from that step
    on, and so does an **infinite** first sample; a later one fires.

    Source: Kasabov et al., "Evolving spatio-temporal data machines based on the NeuCube
    neuromorphic framework", Neural Networks 78 (2016); send-on-delta: Miskowicz, Sensors 6
    (2006).
    """

    threshold: Constant = eqx.field(converter=constant("threshold", positive=True))
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
    def init(self, x: First) -> ReferenceState:
        """The state before the first sample, for a signal of samples like `x`."""
        return ReferenceState(zero_state(as_first(x)), jnp.zeros((), bool))

    @checked
    def step(
        self,
        state: ReferenceState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[ReferenceState, Shaped[Array, "*shape"]]:
        """One sample: `(state, spikes)`, the baseline after its step; `key` is ignored."""
        x = as_floating(x)
        sample = x.astype(state.reference.dtype)
        threshold = constant_like("threshold", self.threshold, sample)
        baseline = state.for_sample(sample)
        change = sample - baseline
        reached = met(broadcast_like(threshold, sample), sample, change)
        spikes = signed_spikes(self.surrogate, change, reached)
        state = ReferenceState(baseline + threshold * spikes, jnp.ones((), bool))
        return state, as_spikes(spikes, self.dtype or x.dtype)

    @checked
    def decode(
        self,
        spikes: Signal,
        start: AnyInput = 0.0,
    ) -> Float[Array, "time *shape"]:
        """The reconstructed signal: the baseline.

        **Arguments:**

        - `spikes`: of shape `"time *shape"`.
        - `start`: the signal's first sample, a number or of shape `"*shape"`.
        """
        return cumulative(self.threshold, spikes, start)
