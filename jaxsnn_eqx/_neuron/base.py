"""What neurons share."""

from typing import Any, NamedTuple, final

from jaxtyping import Array, Float

from .._layer import AbstractStatefulLayer, AbstractTimed
from .._types import as_floating, zero_state


class AbstractNeuron(AbstractStatefulLayer, AbstractTimed):
    """A layer of neurons: currents of shape `"time *shape"` to an output of that shape.

    Subclasses write `init` and `step`, and have fields `dt` and `checkpoint_every`.
    """

    @property
    @final
    def seq_length(self) -> None:
        """`None`: its input has a time axis."""
        return None


class SynapticState(NamedTuple):
    """Membrane potential and synaptic current of a layer, each of shape `"*shape"`."""

    voltage: Float[Array, "*shape"]
    current: Float[Array, "*shape"]

    @classmethod
    def zeros(cls, x: Any) -> "SynapticState":
        """Potentials and currents of 0 for an input like `x`, in float32 or wider."""
        zeros = zero_state(as_floating(x))
        return cls(zeros, zeros)
