"""Rates as random spikes."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Int, PRNGKeyArray, Shaped

from .._draws import bernoulli
from .._fields import dt_field, dtype_field
from .._integrate import emit_over_time, integrate
from .._layer import AbstractTimed, Cell
from .._types import (
    NestedNumbers,
    as_floating,
    as_spikes,
    checked,
    first_step,
    optional_positive_int,
    positive_int,
    refuse_unsigned,
    state_dtype,
)
from .base import AbstractEncoder, max_rate_field, rate_per_step
from .rules import clip_range, straight_through


class PoissonEncoder(AbstractEncoder, AbstractTimed):
    """Encodes values in [0, 1] as the rates of independent random spikes.

    In each step an element fires with probability `p = x · max_rate · dt`, a Bernoulli draw
    per bin: the discrete form of a Poisson process, with geometric intervals. Step t draws from
    `fold_in(key, t)` alone. With `seq_length` the values are held; with `seq_length=None` the
    input is a signal of shape `"time *shape"`, whose rate follows it.

    ```python
    >>> import jax, jax.numpy as jnp
    >>> from jaxsnn_eqx import PoissonEncoder
    >>> encoder = PoissonEncoder(seq_length=1000, max_rate=200.0)
    >>> spikes = encoder(jnp.array([0.0, 0.25, 1.0]), key=jax.random.key(0))
    >>> spikes.sum(axis=0)  # in one second
    Array([  0.,  48., 199.], dtype=float32)

    ```

    **Arguments:**

    - `seq_length`: number of steps, at least 1, or `None` for signals (static).
    - `max_rate`: rate of the value 1, in hertz (static). Positive, at most `1 / dt`, where 1
        fires at every step.
    - `dt`: length of a step in seconds (static). Positive.
    - `signed`: takes values in [−1, 1], and a negative one fires spikes of −1 (static).
    - `dtype`: dtype of the spikes (static); by default the floating dtype of the input.
        Through boolean and integer spikes all gradients are zero.

    Needs a `key` at every call. Changing a static argument recompiles. Values out of range,
    infinities included, are clipped to it. **0** never fires; with `max_rate · dt = 1`, **1**
    always does. **NaN** gives NaN (False or 0 in boolean and integer dtypes).

    The probability is exact in expectation, though a draw has 16 bits: see `_draws.bernoulli`.

    **Derivative:** the expectation's, `d z / d x = max_rate · dt` at every step; zero for
    values out of range. In forward and reverse mode.

    **Raises:** `ValueError` for an argument outside the ranges above, or without a `key`.

    Source: Dayan & Abbott, "Theoretical Neuroscience" (2001), section 1.4; Norse's
    `poisson_encode` and `signed_poisson_encode`.
    """

    seq_length: int | None = eqx.field(
        static=True, converter=optional_positive_int("seq_length")
    )
    max_rate: float = max_rate_field()
    dt: float = dt_field()
    signed: bool = eqx.field(default=False, static=True)
    dtype: Any = dtype_field()

    def __check_init__(self):
        rate_per_step(self.max_rate, self.dt)
        if self.signed:
            refuse_unsigned(self.dtype)

    @property
    def takes_values(self) -> bool:
        """Whether it holds values for `seq_length` steps, rather than following a signal."""
        return self.seq_length is not None

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for values `x`."""
        if key is None:
            raise ValueError(
                "`key` must be given to `PoissonEncoder`, which draws its spikes: "
                "`encoder(x, key=jax.random.key(0))`."
            )
        x_ = clip_range(x.astype(state_dtype(x)), -1.0 if self.signed else 0.0, 1.0)
        p = x_ * rate_per_step(self.max_rate, self.dt)
        spikes = jnp.sign(p) * bernoulli(jnp.abs(p), jr.fold_in(key, t)).astype(p.dtype)
        return as_spikes(straight_through(spikes, p), self.dtype or x.dtype)

    @checked
    def init(self, x: Shaped[ArrayLike, "*shape"] | NestedNumbers) -> Int[Array, ""]:
        """The time index before the first step: 0."""
        return jnp.zeros((), jnp.int32)

    @checked
    def step(
        self,
        state: Int[Array, ""],
        x: Shaped[ArrayLike, "*shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Int[Array, ""], Shaped[Array, "*shape"]]:
        """The spikes of one step for the values `x`, and the time index after it."""
        return state + 1, self.emit(as_floating(x), state, key=key)

    @checked
    def run(
        self,
        state: Int[Array, ""],
        xs: Shaped[ArrayLike, "..."] | NestedNumbers,
        *,
        length: int | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Int[Array, ""], Shaped[Array, "..."]]:
        """A chunk of time, the time index carried.

        **Arguments:**

        - `state`: from `init`, or from the chunk before.
        - `xs`: the values `"*shape"`; with `seq_length=None`, the signal `"time *shape"`.
        - `length`: how many steps to run; for values only. (Keyword only.)
        - `key`: the sequence's key, unchanged from chunk to chunk. (Keyword only.)

        **Returns:**

        `(state, spikes)`, `spikes` of shape `"length *shape"` or `"time *shape"`.
        """
        if self.takes_values != (length is not None):
            raise ValueError(
                "`length` must be given to `run` with a `seq_length`, and only then; got "
                f"length={length} and seq_length={self.seq_length}."
            )
        xs = as_floating(xs)
        if length is None:
            return integrate(Cell(self, None, key), state, xs)
        length = positive_int("length")(length)
        return state + length, emit_over_time(self, xs, state, length=length, key=key)

    @checked
    def __call__(
        self,
        x: Shaped[ArrayLike, "..."] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Shaped[Array, "..."]:
        """**Arguments:**

        - `x`: the values `"*shape"`; with `seq_length=None`, the signal `"time *shape"`.
        - `key`: what the spikes are drawn from. (Keyword only.)

        **Returns:**

        Spikes of shape `"seq_length *shape"` or `"time *shape"`.
        """
        x = as_floating(x)
        if not self.takes_values and x.ndim == 0:
            raise ValueError(
                "a `PoissonEncoder` with `seq_length=None` takes a signal of shape "
                "(time, ...), got shape (); give `seq_length` to encode values."
            )
        first = x if self.takes_values else first_step(x)
        return self.run(self.init(first), x, length=self.seq_length, key=key)[1]
