"""The contract of every layer: `init`, `step`, `run` and the call."""

import inspect
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

import equinox as eqx
import jax.tree_util as jtu
from jaxtyping import Array, PRNGKeyArray, PyTree, Shaped

from ._adjust import Adjustment, DataRange
from ._integrate import integrate
from ._types import (
    AnyInput,
    Sample,
    Signal,
    as_floating,
    checked,
    first_step,
    positive_int,
    refuse_static_arrays,
)

if TYPE_CHECKING:
    # else type checkers would take abstract fields for the constructor's first arguments
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar


class AbstractLayer(eqx.Module):
    """A layer over time: time is axis 0, and there is no batch axis (`jax.vmap` adds it).

    - `init(x) -> state`: the state before the first step, from one step's input (its
      shape and dtype only).
    - `step(state, x, *, key=None) -> (state, out)`: one step, a `jax.lax.scan` body.
    - `run(state, xs, *, length=None, key=None) -> (state, out)`: a chunk of time.
    - `layer(xs, *, key=None) -> out`: the whole, which is `run` from `init`.

    All of them give the same output. `key` belongs to the whole sequence: pass the same key to
    every chunk and step. The state holds the time index, so that each step draws other numbers.

    The field `seq_length` determines the input of a layer. If it is a number, the input is
    values of shape `"*shape"`, which the layer encodes over that many steps; if it is `None`,
    the input is a sequence of shape `"time *shape"`. `run` and the call are defined here: they
    check shapes, convert the input and compile. Subclasses write `init`, `step` and
    `run_chunk`, or derive from `AbstractStatefulLayer`, `AbstractStatelessEncoder` or
    `AbstractDecoder`, which need fewer methods.

    **Arguments that many layers share**, by keyword or in the order of the signature:

    - `seq_length`: the number of steps over which values are encoded, at least 1.
    - `params`: the constants of the neurons, a `LIFParameters`; in a neuron also a
      `LearnableLIFParameters`.
    - `dt`: the length of a step in seconds, positive. Explicit Euler needs a `dt` that is not
      above any time constant of the layer. All layers of a `Network` must have the same.
    - `surrogate`: the spike and its derivative, an `AbstractSurrogate` such as `SuperSpike()`.
    - `checkpoint_every`: for the reverse pass, the states of every so many steps are kept; see
      `integrate`, also for the default.
    - `dtype`: the dtype of the spikes; by default the floating dtype of the input. Boolean and
      integer spikes take a quarter of the memory and half the time, for inference and storage:
      all gradients through them are zero, and a NaN among them is False or 0.

    All of these, except `surrogate` and a `LearnableLIFParameters`, are static: part of the
    compiled program, so that a changed value compiles again. An argument out of range raises a
    `ValueError` that names it.
    """

    seq_length: AbstractVar[int | None]
    """The number of steps over which values are encoded; `None` for input with a time axis."""

    def __check_init__(self):
        refuse_static_arrays(self)

    @abstractmethod
    def init(self, x: Any) -> PyTree:
        """The state before the first step, from one step's input or `ShapeDtypeStruct`."""

    @abstractmethod
    def step(
        self, state: PyTree, x: Any, *, key: PRNGKeyArray | None = None
    ) -> tuple[PyTree, Array]:
        """One step: `(state, out)`."""

    @abstractmethod
    def run_chunk(
        self, state: PyTree, xs: Array, length: int | None, key: PRNGKeyArray | None
    ) -> tuple[PyTree, Array]:
        """`run` without its checks and conversions; called under `jax.jit`."""

    @final
    def run(
        self,
        state: PyTree,
        xs: AnyInput,
        *,
        length: int | None = None,
        key: PRNGKeyArray | None = None,
    ) -> tuple[PyTree, Array]:
        """Runs the layer over a chunk of time, from the given state.

        **Arguments:**

        - `state`: from `init`, or from the chunk before.
        - `xs`: the input over time, of shape `"time *shape"`. With a `seq_length`: the values,
            of shape `"*shape"`, the same for every chunk.
        - `length`: the number of steps; only for layers with a `seq_length`. (Keyword only.)
        - `key`: the sequence's key, unchanged from chunk to chunk. (Keyword only.)

        **Returns:**

        `(state, out)`: the output over time, with time on axis 0; for a decoder, its value so
        far.
        """
        if (length is None) != (self.seq_length is None):
            raise ValueError(
                "`length` must be given to `run` if and only if the layer encodes values; got "
                f"length={length} and seq_length={self.seq_length}."
            )
        if length is None:
            return _run_sequence(self, state, xs, key)
        return _run_values(self, state, xs, positive_int("length")(length), key)

    @final
    def __call__(self, xs: AnyInput, *, key: PRNGKeyArray | None = None) -> Array:
        """Runs the layer over a whole sequence, from `init`.

        **Arguments:**

        - `xs`: the input over time, of shape `"time *shape"`. With a `seq_length`: the values,
            of shape `"*shape"`.
        - `key`: for layers that draw. (Keyword only.)

        **Returns:**

        The output over time, with time on axis 0 (`seq_length` steps, if it is a number); for a
        decoder, its value at the end.
        """
        if self.seq_length is None:
            return _call_on_sequence(self, xs, key)
        if isinstance(self, AbstractEncoder):
            return _encode_values(self, xs, key)
        return _call_on_values(self, xs, key)


class AbstractEncoder(AbstractLayer):
    """A layer that turns values or signals into spikes.

    What `calibrate` and `summary` need to know of an encoder is said by the methods below,
    which subclasses may override.
    """

    @property
    def input_range(self) -> tuple[Any, Any]:
        """The inputs that the encoder tells apart: others are clipped, or never fire."""
        return -math.inf, math.inf

    @property
    def needs_range(self) -> bool:
        """Whether `calibrate` must move data that are outside of `input_range` into it."""
        return False

    def adjustment(self, data: DataRange) -> Adjustment | None:
        """What `calibrate` changes to set the rate; `None` is a `Scale` in front of it."""

    def at_rate(self, rate: float, dt: float, data: DataRange) -> "AbstractEncoder | None":
        """The encoder of about that rate, if its number of spikes does not depend on data."""

    def expected_spikes(self, x: Array) -> Array | None:
        """How many spikes a step has on average for the inputs `x`, if they are random."""


# The shapes of each kind of input, and of its output. `step` checks the shape of one step's
# output; the shape of a `Network`'s output depends on its last layer.


@checked
def _call_on_sequence(
    layer: AbstractLayer, xs: Signal, key: PRNGKeyArray | None
) -> Shaped[Array, "..."]:
    return _run_whole(layer, as_floating(xs), key)


@checked
def _encode_values(
    layer: AbstractEncoder, x: Sample, key: PRNGKeyArray | None
) -> Shaped[Array, "{layer.seq_length} ..."]:
    return _call_on_values(layer, x, key)


@checked
def _call_on_values(
    layer: AbstractLayer, x: Sample, key: PRNGKeyArray | None
) -> Shaped[Array, "..."]:
    return _run_whole(layer, as_floating(x), key)


@checked
def _run_sequence(
    layer: AbstractLayer, state: PyTree, xs: Signal, key: PRNGKeyArray | None
) -> tuple[PyTree, Shaped[Array, "..."]]:
    return _run_chunk(layer, state, as_floating(xs), None, key)


@checked
def _run_values(
    layer: AbstractLayer, state: PyTree, x: Sample, length: Any, key: PRNGKeyArray | None
) -> tuple[PyTree, Shaped[Array, "..."]]:
    return _run_chunk(layer, state, as_floating(x), length, key)


@eqx.filter_jit
def _run_whole(layer: AbstractLayer, xs: Array, key: PRNGKeyArray | None) -> Array:
    length = layer.seq_length
    state = layer.init(first_step(xs) if length is None else xs)
    return layer.run_chunk(state, xs, length, key)[1]


@eqx.filter_jit
def _run_chunk(layer: AbstractLayer, state: PyTree, xs: Array, length: int | None, key):
    return layer.run_chunk(state, xs, length, key)


class AbstractStatefulLayer(AbstractLayer):
    """A layer that repeats its `step` over time: subclasses write `init` and `step`.

    The input of a step is a sample of a signal, or the values, which are the same at each step.
    """

    checkpoint_every: AbstractVar[int | None]

    @final
    def run_chunk(
        self, state: PyTree, xs: Array, length: int | None, key: PRNGKeyArray | None
    ) -> tuple[PyTree, Array]:
        """`step` over time, by `integrate`."""
        every = self.checkpoint_every
        if length is None:
            return integrate(
                lambda state, x: self.step(state, x, key=key), state, xs, checkpoint_every=every
            )
        return integrate(
            lambda state, _: self.step(state, xs, key=key),
            state,
            length=length,
            checkpoint_every=every,
        )


class AbstractTimed(eqx.Module):
    """Has a time step of `dt` seconds, which must be the same in all layers of a `Network`."""

    dt: AbstractVar[float]


def time_steps(layers: PyTree, name: str = "") -> dict[str, float]:
    """The `dt` of every layer that has one, by its path; also of layers within layers."""

    def is_timed(node: Any) -> bool:
        return isinstance(node, AbstractTimed)

    return {
        f"{name}{jtu.keystr(path)} ({type(node).__name__})": node.dt
        for path, node in jtu.tree_leaves_with_path(layers, is_leaf=is_timed)
        if is_timed(node)
    }


def stateless(name: str) -> Callable[[Callable], Callable]:
    """A converter of a field that holds a stateless Equinox layer or function."""

    def convert(fn: Callable) -> Callable:
        kind = type(fn).__name__
        if isinstance(fn, AbstractLayer):
            raise ValueError(
                f"`{name}` must be stateless, got `{kind}`, which is a layer over time."
            )
        if isinstance(fn, eqx.nn.StatefulLayer) and fn.is_stateful():
            raise ValueError(
                f"`{name}` must be stateless, got `{kind}`, an `eqx.nn.StatefulLayer`."
            )
        if not callable(fn):
            raise ValueError(f"`{name}` must be callable, got {fn!r}.")
        others = [name for name in _required(fn)[1:] if name != "key"]
        if others:
            raise ValueError(
                f"`{name}` must take one step's input alone, got `{kind}`, which needs "
                f"{', '.join(map(repr, others))} too. A cell with a state is a layer over "
                "time: write it as a subclass of `AbstractStatefulLayer`."
            )
        return fn

    return convert


def _required(fn: Callable) -> list[str]:
    """The positional arguments of `fn` that have no default."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except ValueError:  # of some built-in functions
        return []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        p.name
        for p in parameters
        if p.kind in positional and p.default is inspect.Parameter.empty
    ]
