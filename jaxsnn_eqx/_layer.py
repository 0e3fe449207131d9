"""The contract of every layer: three ways in, one equation."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import equinox as eqx
from jaxtyping import Array, ArrayLike, PRNGKeyArray, PyTree, Shaped

from ._integrate import integrate
from ._types import NestedNumbers, as_floating, checked, first_step

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
    - `run(state, xs, *, key=None) -> (state, out)`: a chunk of time, the state carried.
    - `layer(xs, *, key=None) -> out`: the whole, which is `run` from `init`.

    All three agree. `key` is the sequence's key in each of them, passed unchanged to
    every chunk and step: the time index that tells draws apart lives in the state.
    """

    @abstractmethod
    def init(self, x: Any) -> PyTree:
        """The state before the first step, from one step's input."""

    @abstractmethod
    def step(
        self, state: PyTree, x: Any, *, key: PRNGKeyArray | None = None
    ) -> tuple[PyTree, Array]:
        """One step: `(state, out)`."""

    @abstractmethod
    def run(
        self, state: PyTree, xs: Any, *, key: PRNGKeyArray | None = None
    ) -> tuple[PyTree, Array]:
        """A chunk of time, with the state carried: `(state, out)`."""

    @abstractmethod
    def __call__(self, xs: Any, *, key: PRNGKeyArray | None = None) -> Array:
        """The whole sequence, from `init`."""


class AbstractSequenceLayer(AbstractLayer):
    """A layer whose output at each step has the shape of its input: signals and neurons.

    Subclasses write `init` and `step`, and get `run` and the call from the integrator.
    """

    checkpoint_every: AbstractVar[int | None]

    @checked
    def run(
        self,
        state: PyTree,
        xs: Shaped[ArrayLike, "time *shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[PyTree, Shaped[Array, "time *shape"]]:
        """A chunk of time, with the state carried.

        **Arguments:**

        - `state`: from `init`, or from the chunk before.
        - `xs`: the input over time, of shape `"time *shape"`.
        - `key`: the sequence's key, unchanged from chunk to chunk. (Keyword only.)

        **Returns:**

        `(state, out)`, `out` of the shape of `xs`.
        """
        return integrate(
            Cell(self, None, key),
            state,
            as_floating(xs),
            checkpoint_every=self.checkpoint_every,
        )

    @checked
    def __call__(
        self,
        xs: Shaped[ArrayLike, "time *shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Shaped[Array, "time *shape"]:
        """The whole sequence, from `init`.

        **Arguments:**

        - `xs`: the input over time, of shape `"time *shape"`.
        - `key`: the sequence's key, for layers that draw. (Keyword only.)

        **Returns:**

        The output over time, of the shape of `xs`.
        """
        xs = as_floating(xs)
        return self.run(self.init(first_step(xs)), xs, key=key)[1]


class AbstractTimed(eqx.Module):
    """Has a time step of `dt` seconds, on which the layers of a `Network` must agree."""

    dt: AbstractVar[float]


class AbstractMembrane(AbstractTimed):
    """A layer with a membrane potential, which `trace` records."""

    checkpoint_every: AbstractVar[int | None]

    @abstractmethod
    def init(self, x: Any) -> PyTree:
        """The state before the first step, from one step's input."""

    @abstractmethod
    def voltage(self, state: PyTree) -> Array:
        """The membrane potential in `state`."""


class Cell(eqx.Module):
    """What `integrate` runs: a layer, with what stays the same over time beside it."""

    layer: Any
    held: Array | None
    key: PRNGKeyArray | None

    def step(self, state, x):
        x = x if self.held is None else self.held
        return self.layer.step(state, x, key=self.key)


class VoltageCell(eqx.Module):
    """A cell that gives the membrane potential beside the output."""

    cell: Cell

    def step(self, state, x):
        state, out = self.cell.step(state, x)
        return state, (self.cell.layer.voltage(state), out)
