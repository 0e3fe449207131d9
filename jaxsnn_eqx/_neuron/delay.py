"""Axonal delays."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from .._layer import AbstractLayer, AbstractTimed
from .._types import (
    First,
    Sample,
    as_first,
    as_floating,
    checked,
    constant_like,
    fixed,
    positive_number,
    zero_state,
)


class Delay(AbstractLayer, AbstractTimed):
    r"""Delays its input, by whole steps: $\text{out}_t = x_{t - d}$, and 0 for $t < d$.

    The delay $d$ in steps is `delay / dt`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import Delay
    >>> Delay([0.0, 2e-3])(jnp.array([[1, 1], [2, 2], [3, 3], [4, 4]]))
    Array([[1., 0.],
           [2., 0.],
           [3., 1.],
           [4., 2.]], dtype=float32)

    ```

    **Arguments:**

    - `delay`: delay in seconds, at least 0, whole multiples of `dt`: a number, or one for each
        neuron (static).
    - `dt`: [shared argument][jaxsnn_eqx.AbstractLayer].

    **Derivative:** exact with respect to the input; there is none with respect to `delay`.
    **NaN** and **infinities** come out at their own steps only. The state is the input of the
    last steps.

    **Raises:** `ValueError` for a negative delay, or one that is not a whole number of steps.

    Source: NIR's Delay.
    """

    delay: float | tuple = eqx.field(static=True, converter=fixed("delay"))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))

    def __check_init__(self):
        steps = np.asarray(self.delay) / self.dt
        if (steps < 0).any() or (np.abs(steps - np.round(steps)) > 1e-4).any():
            raise ValueError(
                "`delay` must be at least 0 and whole multiples of `dt`, in seconds, got "
                f"delay={self.delay} and dt={self.dt}."
            )

    @property
    def seq_length(self) -> None:
        """`None`: its input has a time axis."""
        return None

    @property
    def _steps(self) -> np.ndarray:
        return np.round(np.asarray(self.delay) / self.dt).astype(int)

    @checked
    def init(self, x: First) -> Float[Array, "delay *shape"]:
        """The input before the first step, which is 0: the last one is the latest."""
        longest = int(self._steps.max(initial=0))
        return zero_state(as_first(x), before=(longest,))

    @checked
    def step(
        self, state: Float[Array, "delay *shape"], x: Sample, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, "delay *shape"], Shaped[Array, "*shape"]]:
        """One step: `(state, out)`; `key` is ignored."""
        state, out = self.run_chunk(state, as_floating(x)[None], None, key)
        return state, out[0]

    def run_chunk(
        self, state: Array, xs: Array, length: int | None, key: PRNGKeyArray | None
    ) -> tuple[Array, Array]:
        """All steps at once: a selection from the state and the input."""
        whole = jnp.concatenate([state, xs.astype(state.dtype)])
        time, longest = xs.shape[0], state.shape[0]
        steps = self._steps
        if steps.ndim == 0:
            out = whole[:time]
        else:
            like = jnp.zeros(xs.shape[1:], jnp.int32)
            back = constant_like("delay", longest - steps, like)[None]
            ts = jnp.arange(time, dtype=jnp.int32).reshape(-1, *[1] * like.ndim)
            out = jnp.take_along_axis(whole, ts + back, axis=0)
        return whole[time:], out.astype(xs.dtype)
