"""Delays, fixed or trained."""

import functools as ft
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from .._layer import AbstractLayer, AbstractTimed
from .._types import (
    Constant,
    First,
    Sample,
    as_first,
    as_floating,
    checked,
    constant,
    constant_like,
    number_of_at_least_zero,
    positive_number,
    zero_state,
)


class Delay(AbstractLayer, AbstractTimed):
    r"""Delays each channel of its input by a time of its own, fixed or trained.

    With $d$ the delay in whole steps, `round(delays / dt)`, and 0 before the first step:

    $$
    \text{out}_t = x_{t - d}
    $$

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import Delay
    >>> Delay([0.0, 2e-3])(jnp.array([[1, 1], [2, 2], [3, 3], [4, 4]]))
    Array([[1., 0.],
           [2., 0.],
           [3., 1.],
           [4., 2.]], dtype=float32)
    >>> trained = Delay(jnp.array([1e-3, 4e-3]), longest=5e-3)
    >>> trained(jnp.zeros((6, 2)).at[0].set(1.0)).argmax(axis=0)
    Array([1, 4], dtype=int32)

    ```

    **Arguments:**

    - `delays`: in seconds. Numbers, one or one for each channel, are fixed: at least 0, and
        whole multiples of `dt`. A JAX array (a scalar, or of the shape of one step's input) is
        trained: rounded to whole steps, and clipped to [0, `longest`].
    - `dt`: [shared argument][jaxsnn_eqx.AbstractLayer].
    - `longest`: the longest that a delay can become, in seconds, a whole multiple of `dt`
        (static); the state holds the input of so many steps. By default the largest fixed
        delay; trained ones need it.

    **Derivative:** exact with respect to the input. With respect to a trained delay in steps it
    is that of linear interpolation between steps (the hat kernel) at the delay $d$ that is
    applied, where it has a kink: the mean of both sides, or one side at 0 and at `longest`,

    $$
    \frac{\partial\, \text{out}_t}{\partial d} = \frac{x_{t - d - 1} - x_{t - d + 1}}{2}
    $$

    (From one side alone, a squared error would always push a delay away from the step where it
    is, and hold it between two.) A layer with a memory behind it, such as a membrane, makes
    this derivative reach as far as its time constant. A delay that left [0, `longest`] has the
    derivative of the end at which it is clipped, so that it can come back. **NaN** and
    **infinities** come out at their own steps only; the derivative with respect to a delay has
    them at two. A delay of NaN gives NaN.

    **Raises:** `ValueError` for delays outside of these ranges, or a trained one without
    `longest`.

    Source: NIR's Delay. Trained: Hammouamri, Khalfaoui-Hassani & Masquelier, "Learning delays
    in spiking neural networks using dilated convolutions with learnable spacings", ICLR (2024),
    which interpolates by Gaussians that become narrower in training.
    """

    delays: Constant = eqx.field(converter=constant("delays"))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    longest: float = eqx.field(
        default=0.0, static=True, converter=number_of_at_least_zero("longest")
    )

    def __init__(
        self,
        delays: float | tuple | ArrayLike,
        dt: float = 1e-3,
        longest: float | None = None,
    ):
        self.delays, self.dt = constant("delays")(delays), positive_number("dt")(dt)
        fixed = not isinstance(self.delays, jax.Array)
        if fixed:
            self._check_whole("delays", self.delays)
        elif longest is None:
            raise ValueError("`longest` must be given, in seconds, for trained delays.")
        largest = np.max(self.delays, initial=0) if fixed else 0.0
        longest = float(largest) if longest is None else longest
        self.longest = number_of_at_least_zero("longest")(longest)
        self._check_whole("longest", self.longest)
        if self.longest < largest:
            raise ValueError(
                f"`longest` must be at least the largest of `delays`, {largest} s, got "
                f"{self.longest} s."
            )

    def _check_whole(self, name: str, times: Any) -> None:
        steps = np.asarray(times) / self.dt
        if (steps < 0).any() or (np.abs(steps - np.round(steps)) > 1e-4).any():
            raise ValueError(
                f"`{name}` must be at least 0 and whole multiples of `dt`, in seconds, got "
                f"{name}={times} and dt={self.dt}."
            )

    @property
    def seq_length(self) -> None:
        """`None`: its input has a time axis."""
        return None

    @property
    def _memory(self) -> int:
        """The steps that the state holds."""
        return round(self.longest / self.dt)

    @checked
    def init(self, x: First) -> Float[Array, "memory *shape"]:
        """The input before the first step, which is 0: the last one is the latest."""
        return zero_state(as_first(x), before=(self._memory,))

    @checked
    def step(
        self,
        state: Float[Array, "memory *shape"],
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "memory *shape"], Shaped[Array, "*shape"]]:
        """One step: `(state, out)`; `key` is ignored."""
        state, out = self.run_chunk(state, as_floating(x)[None], None, key)
        return state, out[0]

    def run_chunk(
        self, state: Array, xs: Array, length: int | None, key: PRNGKeyArray | None
    ) -> tuple[Array, Array]:
        """All steps at once: a selection from the state and the input."""
        whole = jnp.concatenate([state, xs.astype(state.dtype)])
        time = xs.shape[0]
        if isinstance(self.delays, float):
            first = self._memory - round(self.delays / self.dt)
            out = whole[first : first + time]
        else:
            position = constant_like("delays", self.delays, whole[0]) / self.dt
            out = _delayed(self._memory, time, whole, position)
        return whole[time:], out.astype(xs.dtype)


def _shifted(whole: Array, steps: Array, time: int) -> Array:
    """The last `time` rows of `whole`, each column so many steps earlier."""
    back = whole.shape[0] - time - steps.astype(jnp.int32)[None]
    ts = jnp.arange(time, dtype=jnp.int32).reshape(-1, *[1] * steps.ndim)
    return jnp.take_along_axis(whole, ts + back, axis=0)


@ft.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _delayed(longest: int, time: int, whole: Array, position: Array) -> Array:
    """As `_shifted` by `round(position)`, with the derivative of linear interpolation."""
    return _nan_like(position, _shifted(whole, _whole_steps(position, longest), time))


@_delayed.defjvp
def _delayed_jvp(longest, time, primals, tangents):
    (whole, position), (whole_dot, position_dot) = primals, tangents
    steps = _whole_steps(position, longest)
    out_dot = _shifted(whole_dot, steps, time)
    if longest > 0:
        later, earlier = jnp.minimum(steps + 1, longest), jnp.maximum(steps - 1, 0)
        slope = _shifted(whole, later, time) - _shifted(whole, earlier, time)
        per_step = position_dot / (later - earlier)
        out_dot = out_dot + _nan_like(position, slope) * per_step[None]
    return _delayed(longest, time, whole, position), out_dot


def _whole_steps(position: Array, longest: int) -> Array:
    return jnp.clip(jnp.nan_to_num(jnp.round(position)), 0, longest)


def _nan_like(position: Array, out: Array) -> Array:
    return jnp.where(jnp.isnan(position)[None], jnp.nan, out)
