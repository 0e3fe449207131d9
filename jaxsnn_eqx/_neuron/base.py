"""What neurons share."""

import warnings
from abc import abstractmethod
from typing import Any, NamedTuple, final

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Shaped

from .._layer import AbstractStatefulLayer, AbstractTimed
from .._parameters import AnyLIFParameters, LIFParameters
from .._types import Sample, as_floating, checked, real_number, state_dtype


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
