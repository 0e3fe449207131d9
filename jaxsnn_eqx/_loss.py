"""Losses that are not in Optax."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, Shaped

from ._types import (
    NestedNumbers,
    as_floating,
    as_index,
    checked,
    positive_number,
    real_number,
    unsigned,
)


@checked
def spike_time_loss(
    times: Shaped[ArrayLike, " classes"] | NestedNumbers,
    label: Integer[ArrayLike, ""],
    *,
    tau: float,
) -> Float[Array, ""]:
    r"""The cross-entropy of the class whose neuron spikes first.

    With $t_c$ the first spike time of class $c$ and $y$ the label,

    $$
    -\ln \frac{e^{-t_y / \tau}}{\sum_c e^{-t_c / \tau}}
    $$

    It is small if the neuron of the label fires before all others by more than `tau`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import spike_time_loss
    >>> times = jnp.array([5e-3, 9e-3, 30e-3])
    >>> float(spike_time_loss(times, 0, tau=2e-3)) < float(spike_time_loss(times, 1, tau=2e-3))
    True

    ```

    **Arguments:**

    - `times`: the first spike of each class in seconds, from `FirstSpikeTime`.
    - `label`: the correct class, an integer from 0 to the number of classes − 1.
    - `tau`: the time difference that counts as clearly earlier, in seconds. Positive. (Keyword
        only.)

    **Returns:**

    The loss, dimensionless; use `jax.vmap` for a batch. **Derivative:** exact, with respect to
    `times`. **NaN** gives NaN.

    **Raises:** `ValueError` for another label. One that is traced cannot be checked, and gives
    NaN.

    Source: Mostafa, "Supervised Learning Based on Temporal Coding in Spiking Neural Networks",
    IEEE Transactions on Neural Networks and Learning Systems 29 (2018); Göltz et al., "Fast and
    energy-efficient neuromorphic deep learning with first-spike times", Nature Machine
    Intelligence 3 (2021), equation 3.
    """
    logits = as_floating(times) * (-1 / positive_number("tau")(tau))
    label, known = as_index("label", label, logits.size)
    return jnp.where(known, -jax.nn.log_softmax(logits)[label], jnp.nan)


@checked
def rate_penalty(
    spikes: Shaped[ArrayLike, "*samples time neurons"] | NestedNumbers,
    *,
    low: float = 0.0,
    high: float | None = None,
    dt: float = 1e-3,
) -> Float[Array, ""]:
    r"""A penalty for mean rates outside [low, high], in kHz².

    With $r_i$ the rate of neuron $i$, its mean over samples and time, and $n$ neurons,

    $$
    \frac{1}{n} \sum_i \left( \max(0, \text{low} - r_i) + \max(0, r_i - \text{high}) \right)^2
    $$

    A `low` above 0 keeps neurons from becoming silent; `high` keeps them from firing all the
    time.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import rate_penalty
    >>> spikes = jnp.zeros((100, 2)).at[::10, 1].set(1.0)  # 0 and 100 Hz
    >>> round(float(rate_penalty(spikes, low=20.0, high=50.0)), 6)
    0.00145

    ```

    **Arguments:**

    - `spikes`: of shape `"*samples time neurons"`: one sequence, or a batch in front.
    - `low`, `high`: bounds in hertz, 0 <= low < high; by default without an upper bound.
        (Keyword only.)
    - `dt`: length of a step in seconds. Positive. (Keyword only.)

    **Returns:**

    The penalty, 0 within the bounds; signed and graded spikes count as 1. **Derivative:**
    exact. **NaN** gives NaN.

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: Zenke & Vogels, "The Remarkable Robustness of Surrogate Gradient Learning", Neural
    Computation 33 (2021), section 4.4.
    """
    low, dt = real_number("low")(low), positive_number("dt")(dt)
    high = high if high is None else real_number("high")(high)
    if low < 0 or (high is not None and high <= low):
        raise ValueError(
            f"`low` and `high` must satisfy 0 <= low < high (in hertz), got low={low} and "
            f"high={high}."
        )
    spikes = unsigned(as_floating(spikes))
    rate = spikes.mean(axis=tuple(range(spikes.ndim - 1))) / (1000 * dt)
    outside = jnp.maximum(low / 1000 - rate, 0)
    if high is not None:
        outside = outside + jnp.maximum(rate - high / 1000, 0)
    return jnp.mean(outside**2)


@checked
def activity_penalty(
    spikes: Shaped[ArrayLike, "*samples time neurons"] | NestedNumbers,
) -> Float[Array, ""]:
    """The mean number of spikes per neuron and sample, to make a network sparse.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import activity_penalty
    >>> float(activity_penalty(jnp.array([[0.0, 1.0], [1.0, 1.0]])))
    1.5

    ```

    **Arguments:**

    - `spikes`: of shape `"*samples time neurons"`: one sequence, or a batch in front.

    **Returns:**

    The mean over neurons and samples of the number of spikes over time; signed and graded
    spikes count as 1. **Derivative:** exact. **NaN** gives NaN.

    Source: Zenke & Vogels (2021), as above.
    """
    return unsigned(as_floating(spikes)).sum(axis=-2).mean()
