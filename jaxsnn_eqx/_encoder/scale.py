"""A scale and an offset in front of an encoder."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import (
    Constant,
    Sample,
    as_floating,
    checked,
    constant,
    constant_like,
    state_dtype,
)


class Scale(eqx.Module):
    r"""Multiplies values by a scale and adds an offset, in front of an encoder.

    Not an encoder: `Preprocessed` puts it in front of an encoder of values, and `OverTime` in
    front of one of signals. `calibrate` computes it from data. For values $x$:

    $$
    y = \text{scale} \cdot x + \text{offset}
    $$

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import ConstantCurrentLIFEncoder, Preprocessed, Scale
    >>> encoder = Preprocessed(Scale(4.0), ConstantCurrentLIFEncoder(seq_length=20))
    >>> encoder(jnp.array([0.1, 0.5, 1.0])).sum(axis=0)
    Array([ 0.,  5., 10.], dtype=float32)

    ```

    **Arguments:**

    - `scale`, `offset`: a number or tuple is fixed; a JAX array (a scalar, or of the values'
        shape) is trained.

    **Derivative:** the formula's, with respect to values, scale and offset. **NaN** stays.
    """

    scale: Constant = eqx.field(converter=constant("scale"))
    offset: Constant = eqx.field(default=0.0, converter=constant("offset"))

    @checked
    def __call__(
        self, xs: Sample, *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*shape"]:
        """**Arguments:**

        - `xs`: values, of any shape that ends with that of `scale` and `offset`.
        - `key`: ignored. (Keyword only.)

        **Returns:**

        The scaled values, in the dtype of `xs`.
        """
        xs = as_floating(xs)
        x = xs.astype(state_dtype(xs))
        y = x * constant_like("scale", self.scale, x)
        if not isinstance(self.offset, float) or self.offset != 0:
            y = y + constant_like("offset", self.offset, x)
        return y.astype(xs.dtype)

    def after(self, first: "Scale") -> "Scale":
        """The one `Scale` that does what `first` and then this one do."""
        constants = (first.scale, first.offset, self.scale, self.offset)
        a, b, c, d = (_as_number(value) for value in constants)
        return Scale(a * c, b * c + d)


def _as_number(value: Any) -> Any:
    return np.asarray(value, np.float32) if isinstance(value, tuple) else value
