"""The base classes of encoders, and how each kind runs over time."""

from abc import abstractmethod
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Int, PRNGKeyArray, Shaped

from .._integrate import integrate, map_over_time
from .._layer import AbstractEncoder, AbstractStatefulLayer
from .._types import (
    Constant,
    First,
    Sample,
    as_first,
    as_floating,
    checked,
    constant_like,
)
from .rules import clip_unit


class AbstractValueEncoder(AbstractStatefulLayer, AbstractEncoder):
    """An encoder of values with dynamics: the values are the input of each step.

    `"*shape"` to `"time *shape"`. Subclasses write `init` and `step`, and have the fields
    `seq_length` and `checkpoint_every`.
    """


class AbstractSignalEncoder(AbstractStatefulLayer, AbstractEncoder):
    """An encoder of signals with dynamics: `"time *shape"` to `"time *shape"`.

    Subclasses write `init` and `step`, and have a field `checkpoint_every`.
    """

    @property
    @final
    def seq_length(self) -> None:
        """`None`: its input has a time axis."""
        return None


class AbstractStatelessEncoder(AbstractEncoder):
    """An encoder whose spikes at step t depend only on the input, on t and on the key.

    Subclasses write `emit(x, t, *, key)`; the state is the time index.
    """

    @abstractmethod
    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for the values `x`."""

    @final
    @checked
    def init(self, x: First) -> Int[Array, ""]:
        """The time index before the first step: 0."""
        as_first(x)  # refuses a shape
        return jnp.zeros((), jnp.int32)

    @final
    @checked
    def step(
        self, state: Int[Array, ""], x: Sample, *, key: PRNGKeyArray | None = None
    ) -> tuple[Int[Array, ""], Shaped[Array, "*shape"]]:
        """The time index after this step, and the spikes of this one for the input `x`."""
        return state + 1, self.emit(as_floating(x), state, key=key)

    @final
    def run_chunk(
        self, state: Array, xs: Array, length: int | None, key: PRNGKeyArray | None
    ) -> tuple[Array, Array]:
        """`emit` at every step; for values, all steps are computed at once."""
        if length is None:
            return integrate(lambda t, x: self.step(t, x, key=key), state, xs)
        spikes = map_over_time(lambda t: self.step(t, xs, key=key)[1], state, length=length)
        return state + length, spikes


class AbstractUnitEncoder(AbstractStatelessEncoder):
    """A stateless encoder of values in [0, 1], to which it clips others."""

    @property
    def input_range(self) -> tuple[float, float]:
        """[0, 1], to which other values are clipped."""
        return 0.0, 1.0

    @property
    @final
    def needs_range(self) -> bool:
        """Values outside are clipped."""
        return True


def check_max_rate(max_rate: Constant, dt: float) -> None:
    """Refuses more than one spike a step."""
    if isinstance(max_rate, Tracer):
        return
    highest = float(np.max(np.asarray(max_rate), initial=0))
    # a JAX array is rounded to float32
    if highest * dt > 1 + (1e-6 if isinstance(max_rate, jax.Array) else 1e-9):
        raise ValueError(
            f"`max_rate` must be at most 1/dt = {1 / dt:g} Hz, one spike a step, got "
            f"{highest:g} Hz at dt={dt} s."
        )


def rate_per_step(max_rate: Constant, dt: float, x: Array) -> float | Array:
    """`max_rate · dt`, at most 1, ready to be combined with `x`."""
    rate = constant_like("max_rate", max_rate, x) * dt
    return min(rate, 1.0) if isinstance(rate, float) else clip_unit(rate)
