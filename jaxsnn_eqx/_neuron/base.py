"""What neurons share."""

import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, final

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Shaped

from .._layer import AbstractStatefulLayer, AbstractTimed
from .._membrane import fire_and_reset, hold_refractory
from .._parameters import AnyLIFParameters, LIFParameters
from .._surrogate import AbstractSurrogate
from .._types import (
    First,
    Sample,
    as_first,
    as_floating,
    as_spikes,
    checked,
    real_number,
    state_dtype,
    zero_state,
)

if TYPE_CHECKING:
    # else type checkers would take abstract fields for the constructor's first arguments
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar


class AbstractNeuron(AbstractStatefulLayer, AbstractTimed):
    """A layer of neurons: currents of shape `"time *shape"` to an output of that shape.

    Subclasses write `init` and `advance`, and have fields `dt` and `checkpoint_every`.
    """

    @property
    @final
    def seq_length(self) -> None:
        """`None`: its input has a time axis."""
        return None

    @abstractmethod
    def advance(
        self, state: PyTree, current: Float[Array, "*shape"], dtype: Any
    ) -> tuple[PyTree, Shaped[Array, "*shape"]]:
        """One step under a current of the state's dtype: `(state, out)`.

        `out` has the given `dtype`, unless the layer has its own. `Synapse` and `Recurrent`
        call this method of the neuron that they contain.
        """

    @final
    @checked
    def step(
        self, state: PyTree, x: Sample, *, key: PRNGKeyArray | None = None
    ) -> tuple[PyTree, Shaped[Array, "*shape"]]:
        """One step of the equations above: `(state, out)`.

        **Arguments:**

        - `state`: from `init`, or from the step before.
        - `x`: the input current of this step (dimensionless), of shape `"*shape"`.
        - `key`: ignored. (Keyword only.)
        """
        x = as_floating(x)
        return self.advance(state, x.astype(state_dtype(x)), x.dtype)


class MembraneState(NamedTuple):
    """Membrane potential, of shape `"*shape"`.

    With a refractory period also `remaining`, for how many more steps a neuron is refractory.
    """

    potential: Float[Array, "*shape"]
    remaining: Float[Array, "*shape"] | None = None


class AbstractMembrane(AbstractNeuron):
    """Neurons that fire and reset, and whose state is their membrane.

    Subclasses write `integrate`.
    """

    params: AbstractVar[AnyLIFParameters]
    surrogate: AbstractVar[AbstractSurrogate]
    dtype: AbstractVar[DTypeLike | None]
    soft_reset: AbstractVar[bool]
    refractory: AbstractVar[float]
    detach_reset: AbstractVar[bool]

    @abstractmethod
    def integrate(self, potential: Array, current: Array) -> Array:
        """The potential after a step, before it fires."""

    @final
    @checked
    def init(self, x: First) -> MembraneState:
        """Potentials of 0 for an input like `x`, in float32 or wider."""
        zeros = zero_state(as_first(x))
        return MembraneState(zeros, refractory_zeros(zeros, self.refractory, self.dt))

    @final
    @checked
    def advance(
        self, state: MembraneState, current: Float[Array, "*shape"], dtype: Any
    ) -> tuple[MembraneState, Shaped[Array, "*shape"]]:
        """One step of the equations above: `(state, spikes)`."""
        dtype, remaining = self.dtype or dtype, state.remaining
        potential, spikes = fire_and_reset(
            self.integrate(state.potential, current),
            self.params.v_th,
            self.params.v_reset,
            self.surrogate,
            soft=self.soft_reset,
            detach=self.detach_reset,
            dtype=dtype if remaining is None else None,
        )
        if remaining is not None:
            steps = refractory_steps(self.refractory, self.dt)
            remaining, potential, spikes = hold_refractory(
                remaining, steps, state.potential, potential, spikes
            )
            spikes = as_spikes(spikes, dtype)
        return MembraneState(potential, remaining), spikes


def as_refractory(refractory: float) -> float:
    """A converter of the field `refractory`."""
    refractory = real_number("refractory")(refractory)
    if refractory < 0:
        raise ValueError(f"`refractory` must be at least 0, in seconds, got {refractory}.")
    return refractory


def refractory_steps(refractory: float, dt: float) -> int:
    """Whole steps in a refractory period."""
    return round(refractory / dt)


def refractory_zeros(x: Array, refractory: float, dt: float) -> Array | None:
    """Zeros, since no neuron is refractory at first; `None` without a refractory period."""
    return jnp.zeros_like(x) if refractory_steps(refractory, dt) else None


def warn_of_tau_syn(name: str, params: AnyLIFParameters) -> None:
    """Warns if a membrane alone is given the time constant of a synapse."""
    if isinstance(params, LIFParameters) and params.tau_syn != LIFParameters().tau_syn:
        warnings.warn(
            f"`{name}` is a membrane alone and does not use `params.tau_syn`="
            f"{params.tau_syn}: `Synapse({name}(...), tau_syn)` adds a synapse.",
            stacklevel=3,
        )
