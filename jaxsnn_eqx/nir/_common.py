"""What writing and reading NIR share."""

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import as_floating

try:
    import nir as nir
except ModuleNotFoundError as error:
    raise ImportError("`jaxsnn_eqx.nir` needs nir: install `jaxsnn_eqx[nir]`.") from error

NEVER = 1e30  # a threshold out of reach; an infinite one is NaN where it is multiplied by 0


class Scale(eqx.Module):
    """Multiplies its input by `scale`: NIR's `Scale`, to be wrapped in `OverTime`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import nir
    >>> nir.Scale(jnp.array([2.0, 3.0]))(jnp.array([1.0, 1.0]))
    Array([2., 3.], dtype=float32)

    ```

    **Arguments:**

    - `scale`: a scalar, or of the shape of one step's input; trainable.

    **Derivative:** exact.
    """

    scale: Float[Array, "..."] = eqx.field(converter=as_floating)

    def __call__(self, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        """`x · scale`; `key` is ignored."""
        return x * self.scale
