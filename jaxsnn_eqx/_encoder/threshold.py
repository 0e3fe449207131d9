"""Temporal contrast: changes above a threshold that is computed from data."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import DTypeLike

from .._adjust import Adjustment, DataRange, adjust
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import Constant, Signal, checked, constant, fixed, flag, spike_dtype
from .change import AbstractChangeEncoder


class ThresholdEncoder(AbstractChangeEncoder):
    r"""Encodes a signal's unusual changes: threshold-based representation (TBR).

    `DeltaEncoder` with the threshold

    $$
    \theta = \mu + \text{factor} \cdot \sigma
    $$

    where $\mu$ = `mean_change` and $\sigma$ = `std_change` are the mean and the standard
    deviation of $\left|x_t - x_{t-1}\right|$ in training data. `ThresholdEncoder.fit` computes
    them from the training data and not from the encoded signal, so the encoding is causal.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import ThresholdEncoder
    >>> encoder = ThresholdEncoder.fit(jnp.array([0.0, 1.0, 1.0, 4.0, 4.0]), factor=1.0)
    >>> round(float(encoder.threshold), 4)
    2.2247
    >>> encoder(jnp.array([0.0, 2.5, 2.0, -2.0]))
    Array([ 0.,  1.,  0., -1.], dtype=float32)

    ```

    **Arguments:**

    - `mean_change`, `std_change`: statistics of the training data, numbers, or (nested) lists
        of a sample's shape (static).
    - `factor`: how many standard deviations above the mean the threshold is. A number or tuple
        is fixed, a JAX array is trained.
    - `signed`: whether decreases give spikes of −1 (static); otherwise only increases fire.
    - `surrogate`, `dtype`: as in `DeltaEncoder`.

    `decode`, **derivative** (with respect to the signal and `factor`), **NaN** and
    **infinities:** as `DeltaEncoder`.

    **Raises:** `ValueError` for a threshold that is not positive.

    Source: Petro, Kasabov & Kiss, "Selection and optimization of temporal spike encoding
    methods for spiking neural networks", IEEE Transactions on Neural Networks and Learning
    Systems 31 (2020). It takes the statistics of the signed changes, whose mean may be
    negative, and of the encoded signal; here they are those of the absolute changes in training
    data.
    """

    mean_change: float | tuple = eqx.field(static=True, converter=fixed("mean_change"))
    std_change: float | tuple = eqx.field(static=True, converter=fixed("std_change"))
    factor: Constant = eqx.field(default=1.0, converter=constant("factor"))
    signed: bool = eqx.field(default=True, static=True, converter=flag("signed"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)

    def __check_init__(self):
        if isinstance(self.factor, jax.Array):
            return
        thresholds = np.asarray(self.threshold)
        if (thresholds <= 0).any():
            first = tuple(np.argwhere(thresholds <= 0)[0].tolist())
            of_channel = f" in channel {first}, which may be constant" if first else ""
            raise ValueError(
                "`mean_change + factor * std_change`, the threshold, must be positive, got "
                f"{thresholds[first]}{of_channel}."
            )

    def adjustment(self, data: DataRange) -> Adjustment:
        """`factor`, with the statistics as they are."""
        mean, std = (np.asarray(c) for c in (self.mean_change, self.std_change))
        if (std <= 0).any():
            raise ValueError(
                "`std_change` must be positive to calibrate `factor`, got a constant change. "
                "`DeltaEncoder` has a threshold of its own."
            )
        lowest = np.max(-mean / std) * (1 - 1e-6) + 1e-6
        highest = jnp.max(2 * data.span / np.min(std))
        return adjust(self, "factor", lowest, highest)

    @property
    def threshold(self) -> Constant:
        """`mean_change + factor · std_change`, in units of the signal."""
        parts = [np.asarray(c) for c in (self.mean_change, self.std_change)]
        shape = np.broadcast_shapes(*(np.shape(c) for c in (*parts, self.factor)))
        if isinstance(self.factor, jax.Array):
            factor = jnp.broadcast_to(self.factor, shape)
            mean, std = (jnp.asarray(np.broadcast_to(c, shape), factor.dtype) for c in parts)
            return mean + factor * std
        return fixed("threshold")(parts[0] + np.asarray(self.factor) * parts[1])

    @classmethod
    @checked
    def fit(
        cls,
        xs: Signal,
        factor: Any = 1.0,
        *,
        axis: int | None = None,
        **fields: Any,
    ) -> "ThresholdEncoder":
        """An encoder with the statistics of the signal `xs`, computed for each channel.

        **Arguments:**

        - `xs`: training data, `"time *shape"`, at least two steps; concrete, not traced. With
            `axis`, several such signals.
        - `factor`, `fields`: the other arguments of `ThresholdEncoder`.
        - `axis`: the axis of `xs` along which the signals lie: 0 for `"samples time *shape"`.
            Changes from one signal to the next are not counted. (Keyword only.)

        **Raises:** `ValueError` for a channel that is constant or not finite.
        """
        if isinstance(xs, Tracer):
            raise ValueError(
                "`xs` must be concrete, since thresholds are fixed numbers: fit outside of "
                "`jax.jit` and `jax.vmap`."
            )
        signals = np.asarray(xs, float)
        if axis is None:
            signals = signals[None]
        elif signals.ndim < 2 or not -signals.ndim <= axis < signals.ndim:
            raise ValueError(
                f"`axis` must be an axis of `xs` beside time, got {axis} and shape "
                f"{signals.shape}."
            )
        else:
            signals = np.moveaxis(signals, axis, 0)
        changes = np.abs(np.diff(signals, axis=1)).reshape(-1, *signals.shape[2:])
        if changes.shape[0] == 0:
            raise ValueError(
                "`xs` must have at least two steps, to compute a threshold; got shape "
                f"{np.shape(xs)}."
            )
        wrong = np.argwhere(~np.isfinite(changes))
        if wrong.size:
            channel = tuple(wrong[0, 1:].tolist())
            raise ValueError(f"`xs` must be finite, got NaN or infinity in channel {channel}.")
        return cls(changes.mean(axis=0), changes.std(axis=0), factor, **fields)
