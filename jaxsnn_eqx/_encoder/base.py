"""What encoders share: the two kinds, and how each runs over time."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray, PyTree, Shaped

from .._integrate import emit_over_time, integrate
from .._layer import AbstractLayer, AbstractMembrane, AbstractSequenceLayer, Cell
from .._types import (
    NestedNumbers,
    as_floating,
    checked,
    positive_int,
    positive_number,
    zero_state,
)

if TYPE_CHECKING:
    # else type checkers would take abstract fields for the constructor's first arguments
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar


class AbstractEncoder(AbstractLayer):
    """A layer that turns values or signals into spikes."""

    @property
    @abstractmethod
    def takes_values(self) -> bool:
        """Whether it encodes values, which have no time axis, rather than signals."""


class AbstractValueMap(AbstractLayer):
    """Maps values to values at each instant, in front of an encoder; has no state.

    Subclasses write the call. In a `Network` it stands before the encoder.
    """

    @checked
    def init(self, x: Shaped[ArrayLike, "..."] | NestedNumbers) -> tuple[()]:
        """No state."""
        return ()

    @checked
    def step(
        self,
        state: tuple[()],
        x: Shaped[ArrayLike, "..."] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[tuple[()], Shaped[Array, "..."]]:
        """The call, with no state beside it."""
        return (), self(x, key=key)

    @checked
    def run(
        self,
        state: tuple[()],
        xs: Shaped[ArrayLike, "..."] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[tuple[()], Shaped[Array, "..."]]:
        """The call, on values or on a chunk of a signal, with no state beside it."""
        return (), self(xs, key=key)


class AbstractSignalEncoder(AbstractEncoder, AbstractSequenceLayer):
    """An encoder of signals: `"time *shape"` to `"time *shape"`."""

    @property
    def takes_values(self) -> bool:
        """False: its input has a time axis."""
        return False


class AbstractValueEncoder(AbstractEncoder):
    """An encoder of values: `"*shape"` to `"time *shape"`, over `seq_length` steps."""

    seq_length: AbstractVar[int]

    @property
    def takes_values(self) -> bool:
        """True: its input has no time axis."""
        return True

    @abstractmethod
    def run(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        state: PyTree,
        xs: Any,
        *,
        length: int,
        key: PRNGKeyArray | None = None,
    ) -> tuple[PyTree, Array]:
        """A chunk of `length` steps for the values `xs`, with the state carried."""

    @checked
    def __call__(
        self,
        x: Shaped[ArrayLike, "*shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Shaped[Array, "{self.seq_length} *shape"]:
        """**Arguments:**

        - `x`: the values, of any shape; `()` and empty included.
        - `key`: for encoders that draw; ignored by the others. (Keyword only.)

        **Returns:**

        Spikes of shape `"seq_length *shape"`, in the floating dtype of `x` or in `dtype`.
        """
        x = as_floating(x)
        return self.run(self.init(x), x, length=self.seq_length, key=key)[1]


class AbstractHeldEncoder(AbstractValueEncoder):
    """A value encoder with dynamics, whose value is held as its input at every step."""

    checkpoint_every: AbstractVar[int | None]

    @checked
    def run(
        self,
        state: PyTree,
        xs: Shaped[ArrayLike, "*shape"] | NestedNumbers,
        *,
        length: int,
        key: PRNGKeyArray | None = None,
    ) -> tuple[PyTree, Shaped[Array, "{length} *shape"]]:
        """A chunk of `length` steps, with the state carried.

        **Arguments:**

        - `state`: from `init`, or from the chunk before.
        - `xs`: the values, of shape `"*shape"`, the same for every chunk.
        - `length`: how many steps to run. (Keyword only.)
        - `key`: the sequence's key, unchanged from chunk to chunk. (Keyword only.)

        **Returns:**

        `(state, spikes)`, `spikes` of shape `"length *shape"`.
        """
        return integrate(
            Cell(self, as_floating(xs), key),
            state,
            None,
            length=positive_int("length")(length),
            checkpoint_every=self.checkpoint_every,
        )


class AbstractEmittingEncoder(AbstractValueEncoder):
    """A value encoder whose spike at step t depends on the value, t and the key alone.

    Subclasses write `emit(x, t, *, key)`; the state is the time index and nothing else.
    """

    @abstractmethod
    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The spikes of step `t` for the values `x`."""

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
        xs: Shaped[ArrayLike, "*shape"] | NestedNumbers,
        *,
        length: int,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Int[Array, ""], Shaped[Array, "{length} *shape"]]:
        """A chunk of `length` steps for the values `xs`, the time index carried."""
        length = positive_int("length")(length)
        spikes = emit_over_time(self, as_floating(xs), state, length=length, key=key)
        return state + length, spikes


def max_rate_field() -> Any:
    """`max_rate`: the rate of the value 1 in hertz, static."""
    return eqx.field(default=100.0, static=True, converter=positive_number("max_rate"))


def rate_per_step(max_rate: float, dt: float) -> float:
    """`max_rate · dt`, refused if it is more than one spike a step."""
    if max_rate * dt > 1 + 1e-9:
        raise ValueError(
            f"`max_rate` must be at most 1/dt = {1 / dt:g} Hz, one spike a step, got "
            f"{max_rate:g} Hz at dt={dt} s."
        )
    return min(max_rate * dt, 1.0)


class AbstractVoltageMembrane(AbstractMembrane):
    """Has a membrane potential, and no other state."""

    @checked
    def init(self, x: Shaped[ArrayLike, "*shape"] | NestedNumbers) -> Float[Array, "*shape"]:
        """Voltages of 0 for an input like `x`, in float32 or wider."""
        return zero_state(as_floating(x))

    def voltage(self, state: Array) -> Array:
        """The voltage, which is the whole state."""
        return state
