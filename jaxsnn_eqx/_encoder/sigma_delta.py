"""Changes, with what was not yet sent carried over."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from .._fields import checkpoint_field, dtype_field, surrogate_field
from .._surrogate import AbstractSurrogate
from .._types import (
    Constant,
    NestedNumbers,
    as_floating,
    as_spikes,
    checked,
    constant,
    constant_like,
    refuse_unsigned,
    zero_state,
)
from .base import AbstractSignalEncoder
from .change import cumulative
from .rules import signed_spikes, straight_through


class SigmaDeltaEncoder(AbstractSignalEncoder):
    """Encodes a signal's change plus the residual that earlier spikes left.

    At every step, with s the sum of all that was sent (at first 0, so that the first sample
    counts as a change too), and `r = x − s`, which is the change since the previous sample plus
    the residual of that one:

        z <- r / threshold, rounded toward 0                        (graded)
        z <- 1 if r >= threshold, −1 if r <= −threshold, else 0     (binary)
        s <- s + threshold · z

    A graded spike carries a whole number, so that s follows within a threshold at once, however
    fast the signal; a binary one moves s by one threshold a step.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import SigmaDeltaEncoder
    >>> encoder = SigmaDeltaEncoder(threshold=0.5)
    >>> spikes = encoder(jnp.array([2.25, 2.75, 2.75, 0.0]))
    >>> spikes
    Array([ 4.,  1.,  0., -5.], dtype=float32)
    >>> encoder.decode(spikes)
    Array([2. , 2.5, 2.5, 0. ], dtype=float32)

    ```

    **Arguments:**

    - `threshold`: the unit of a spike, in units of the signal. Positive. A number or tuple
        is fixed, a JAX array (scalar, or of a sample's shape) trainable.
    - `graded`: whether spikes carry whole numbers (static), or only −1, 0 and 1.
    - `surrogate`: the spike and its derivative, an `AbstractSurrogate`, in units of the signal;
        for binary spikes.
    - `checkpoint_every`: steps between the states kept for the reverse pass (static); see
        `integrate`, which also gives the default.
    - `dtype`: dtype of the spikes (static); by default the floating dtype of the input.
        Through integer spikes all gradients are zero; narrow ones may overflow.

    Changing a static argument recompiles.

    `decode(spikes)` gives s: within one threshold of the signal at every step (graded).

    **Derivative:** of graded spikes straight-through, that of `r / threshold`; of binary ones
    the surrogate's. Through s, with respect to the signal and the threshold, in forward and
    reverse mode. **NaN** gives NaN from that step on (0 in integer dtypes), and so does an
    **infinity**, which is itself sent (binary: fires, and no more).

    **Raises:** `ValueError` for an argument outside the ranges above.

    Source: O'Connor & Welling, "Sigma Delta Quantized Networks", ICLR (2017); Yoon, "LIF and
    Simplified SRM Neurons Encode Signals Into Spikes via a Form of Asynchronous Pulse
    Sigma–Delta Modulation", IEEE Transactions on Neural Networks and Learning Systems 28
    (2017).
    """

    threshold: Constant = eqx.field(converter=constant("threshold", positive=True))
    graded: bool = eqx.field(default=True, static=True)
    surrogate: AbstractSurrogate = surrogate_field()
    checkpoint_every: int | None = checkpoint_field()
    dtype: Any = dtype_field()

    def __check_init__(self):
        refuse_unsigned(self.dtype)

    @checked
    def init(self, x: Shaped[ArrayLike, "*shape"] | NestedNumbers) -> Float[Array, "*shape"]:
        """Nothing sent yet, for a signal of samples like `x`."""
        return zero_state(as_floating(x))

    @checked
    def step(
        self,
        state: Float[Array, "*shape"],
        x: Shaped[ArrayLike, "*shape"] | NestedNumbers,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "*shape"], Shaped[Array, "*shape"]]:
        """One sample: `(state, spikes)`, all that was sent, this included; `key` is ignored."""
        x = as_floating(x)
        sample = x.astype(state.dtype)
        threshold = constant_like("threshold", self.threshold, sample)
        rest = sample - state
        if self.graded:
            units = rest / threshold
            spikes = straight_through(jnp.trunc(units), units)
        else:
            spikes = signed_spikes(self.surrogate, rest, threshold)
        return state + threshold * spikes, as_spikes(spikes, self.dtype or x.dtype)

    @checked
    def decode(
        self, spikes: Shaped[ArrayLike, "time *shape"] | NestedNumbers
    ) -> Float[Array, "time *shape"]:
        """All that was sent by each step, in units of the signal.

        **Arguments:**

        - `spikes`: of shape `"time *shape"`.
        """
        return cumulative(self.threshold, spikes)
