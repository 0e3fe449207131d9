"""The values themselves, at every step."""

import equinox as eqx
from jaxtyping import Array, Int, PRNGKeyArray

from .._adjust import DataRange
from .._types import positive_int
from .base import AbstractStatelessEncoder


class DirectEncoder(AbstractStatelessEncoder):
    """Returns the value itself at every step, for a learned layer behind it to encode.

    The only encoder that does not spike. The spikes come from the first layer of neurons, as in
    `Network([DirectEncoder(20), OverTime(linear), LIF(), ...])`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import DirectEncoder
    >>> DirectEncoder(seq_length=2)(jnp.array([0.1, 0.7]))
    Array([[0.1, 0.7],
           [0.1, 0.7]], dtype=float32)

    ```

    **Arguments:**

    - `seq_length`: [shared arguments][jaxsnn_eqx.AbstractLayer].

    Nothing is clipped, and the dtype is the input's; **NaN** and **infinities** pass through.

    **Derivative:** 1 at every step, in forward and reverse mode.

    Source: Rueckauer, Lungu, Hu, Pfeiffer & Liu, "Conversion of Continuous-Valued Deep Networks
    to Efficient Event-Driven Networks for Image Classification", Frontiers in Neuroscience 11
    (2017).
    """

    seq_length: int = eqx.field(static=True, converter=positive_int("seq_length"))

    def at_rate(self, rate: float, dt: float, data: DataRange) -> "DirectEncoder":
        """None: refused."""
        raise ValueError(
            "`DirectEncoder` has no rate to calibrate: its output is the values themselves, "
            "and the neurons behind it make the spikes. Calibrate the `Network`."
        )

    def emit(self, x: Array, t: Int[Array, ""], *, key: PRNGKeyArray | None = None) -> Array:
        """The values `x` for every `t`; `key` is ignored."""
        return x
