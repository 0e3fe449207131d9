"""Functions in front of an encoder of values."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree, Shaped

from .._layer import AbstractEncoder, stateless
from .._types import AnyFirst, AnyInput, as_first, as_floating, checked


def _as_value_encoder(encoder: AbstractEncoder) -> AbstractEncoder:
    if not isinstance(encoder, AbstractEncoder) or encoder.seq_length is None:
        raise ValueError(
            "`encoder` must be an encoder of values (with a `seq_length`), got "
            f"`{type(encoder).__name__}`; in front of a signal encoder use `OverTime(fn)`."
        )
    return encoder


class Preprocessed(AbstractEncoder):
    """An encoder of values with a function in front of it: `encoder(fn(x))`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import GaussianReceptiveFields, PhaseEncoder, Preprocessed
    >>> fields = GaussianReceptiveFields.evenly(5)
    >>> encoder = Preprocessed(fields, PhaseEncoder(seq_length=8, bits=4))
    >>> encoder(jnp.array([0.2, 0.7])).shape
    (8, 2, 5)
    >>> louder = Preprocessed(lambda x: 4 * x, PhaseEncoder(seq_length=8, bits=4))
    >>> louder(jnp.array([0.1, 0.2])).shape
    (8, 2)

    ```

    **Arguments:**

    - `fn`: any stateless function or Equinox module, called as `fn(x)` on the values, of any
        shape: a scale, an `eqx.nn.Linear`, or a population such as `GaussianReceptiveFields`.
        Its output is encoded. Its array leaves are trained.
    - `encoder`: any encoder of values.

    **Derivative:** that of `encoder` times that of `fn`.

    **Raises:** `ValueError` if `fn` has state (in front of a *signal* encoder put
    `OverTime(fn)`), or if `encoder` does not encode values.
    """

    fn: Callable = eqx.field(converter=stateless("fn"))
    encoder: AbstractEncoder = eqx.field(converter=_as_value_encoder)

    @property
    def seq_length(self) -> int | None:
        """The `seq_length` of `encoder`."""
        return self.encoder.seq_length

    @checked
    def init(self, x: AnyFirst) -> PyTree:
        """The state of `encoder` for the output of `fn` on values like `x`."""
        return self.encoder.init(self.preprocess(as_first(x)))

    @checked
    def step(
        self, state: PyTree, x: AnyInput, *, key: PRNGKeyArray | None = None
    ) -> tuple[PyTree, Shaped[Array, "..."]]:
        """One step of `encoder`: `(state, spikes)`."""
        return self.encoder.step(state, self.preprocess(x), key=key)

    def run_chunk(
        self, state: PyTree, xs: Array, length: int | None, key: PRNGKeyArray | None
    ) -> tuple[PyTree, Array]:
        """`fn` once, and `encoder` over time."""
        return self.encoder.run_chunk(state, self.preprocess(xs), length, key)

    def preprocess(self, x: Any) -> Array:
        """What `encoder` gets for the values `x`: the output of `fn`."""
        x = as_floating(x)
        try:
            return as_floating(jnp.asarray(self.fn(x)))
        except (TypeError, ValueError) as error:
            said = str(error).partition("\n")[0]
            raise ValueError(
                f"`fn` (`{type(self.fn).__name__}`) does not take values of shape {x.shape}: "
                f"{said} In a batch, use `jax.vmap`."
            ) from error
