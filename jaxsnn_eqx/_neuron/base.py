"""What neurons share."""

from typing import TYPE_CHECKING, Any, NamedTuple

from jaxtyping import Array, ArrayLike, Float

from .._layer import AbstractMembrane, AbstractSequenceLayer
from .._parameters import LIFParameters, check_dt
from .._types import NestedNumbers, as_floating, zero_state

if TYPE_CHECKING:
    # else type checkers would take abstract fields for the constructor's first arguments
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar


class AbstractNeuron(AbstractSequenceLayer, AbstractMembrane):
    """A layer of neurons: currents of shape `"time *shape"` to an output of that shape.

    Subclasses write `init`, `step` and `voltage`, and have fields `dt` and
    `checkpoint_every`; the integrator gives `run` and the call.
    """


class SynapticState(NamedTuple):
    """Membrane potential and synaptic current of a layer, each of shape `"*shape"`."""

    voltage: Float[Array, "*shape"]
    current: Float[Array, "*shape"]

    @classmethod
    def zeros(cls, x: ArrayLike | NestedNumbers) -> "SynapticState":
        """Potentials and currents of 0 for an input like `x`, in float32 or wider."""
        zeros = zero_state(as_floating(x))
        return cls(zeros, zeros)


class AbstractSynapticNeuron(AbstractNeuron):
    """A neuron with a membrane and an exponential synapse; subclasses write `init`, `step`."""

    params: AbstractVar[LIFParameters]

    def __check_init__(self):
        check_dt(self.dt, tau_mem=self.params.tau_mem, tau_syn=self.params.tau_syn)

    def voltage(self, state: Any) -> Array:
        """The membrane potential, after the reset of neurons that have one."""
        return state.voltage
