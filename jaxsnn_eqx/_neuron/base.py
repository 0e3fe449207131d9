"""What neurons share."""

from .._layer import AbstractMembrane, AbstractSequenceLayer


class AbstractNeuron(AbstractSequenceLayer, AbstractMembrane):
    """A layer of neurons: currents of shape `"time *shape"` to an output of that shape.

    Subclasses write `init`, `step` and `voltage`, and have fields `dt` and
    `checkpoint_every`; the integrator gives `run` and the call.
    """
