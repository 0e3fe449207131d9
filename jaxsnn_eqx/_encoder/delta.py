"""Spikes where a signal changes quickly."""

import equinox as eqx
from jax.typing import DTypeLike

from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import Constant, constant, flag, spike_dtype
from .change import AbstractChangeEncoder


class DeltaEncoder(AbstractChangeEncoder):
    r"""Encodes a signal's changes: fires where a sample differs enough from the previous one.

    With $\theta$ = `threshold`, at step $t$:

    $$
    z_t = \begin{cases}
    1 & x_t - x_{t-1} \ge \theta \\
    -1 & x_t - x_{t-1} \le -\theta \\
    0 & \text{else}
    \end{cases}
    $$

    The first sample never fires. A slow drift never fires, for any total change:
    `StepForwardEncoder` encodes drifts.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import DeltaEncoder
    >>> DeltaEncoder(threshold=0.5)(jnp.array([2.0, 2.5, 2.25, 1.25]))
    Array([ 0.,  1.,  0., -1.], dtype=float32)

    ```

    **Arguments:**

    - `threshold`: the smallest change that fires, in units of the signal. Positive. A number
        or tuple is fixed; a JAX array (a scalar, or of a sample's shape) is trained.
    - `signed`: whether decreases give spikes of −1 (static); otherwise only increases fire.
    - `surrogate`, `dtype`: [shared arguments][jaxsnn_eqx.AbstractLayer]. `surrogate` is in
        units of the signal; `dtype` must hold −1 if `signed`.

    `decode(spikes, start)` adds up one threshold per spike. It is exact if every change is one
    threshold or zero; other changes are rounded to these, and the errors add up.

    **Derivative:** the surrogate's, with respect to the signal and the threshold, in forward
    and reverse mode. A **NaN** sample gives NaN at its own step and at the next, whose changes
    contain it. An **infinity** fires at both, but gives NaN as the first sample, or after
    another infinity of its sign.

    Source: snnTorch's `spikegen.delta`, which compares the first sample with 0. The pixels of
    Lichtsteiner, Posch & Delbruck, IEEE Journal of Solid-State Circuits 43 (2008), compare the
    logarithm of the intensity with that at their last event, which is `StepForwardEncoder`.
    """

    threshold: Constant = eqx.field(converter=constant("threshold", positive=True))
    signed: bool = eqx.field(default=True, static=True, converter=flag("signed"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)
