"""Population coding: each value as the responses of neurons with different preferences."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import Constant, Sample, as_floating, checked, constant, positive_int, state_dtype


class GaussianReceptiveFields(eqx.Module):
    r"""Maps each value to the responses of a population, for a value encoder to encode.

    Not an encoder: `Preprocessed` puts it in front of any encoder of values. With $c_i$ and
    $w_i$ the centre and width of field $i$, the responses are

    $$
    y_i = \exp \left( -\frac{(x - c_i)^2}{2 w_i^2} \right)
    $$

    on a new last axis, so that `"*shape"` becomes `"*shape fields"`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import GaussianReceptiveFields, LatencyEncoder, Preprocessed
    >>> fields = GaussianReceptiveFields(centres=(0.0, 0.5, 1.0), widths=0.25)
    >>> fields(jnp.array([0.5, 1.0])).round(3)
    Array([[0.135, 1.   , 0.135],
           [0.   , 0.135, 1.   ]], dtype=float32)
    >>> latency = LatencyEncoder(seq_length=20, t_late=1e-2, threshold=0.1)
    >>> Preprocessed(fields, latency)(jnp.ones(2)).shape
    (20, 2, 3)

    ```

    Give an encoder of spike times a threshold, as above. Without one, the neurons that prefer
    other values all fire at the end of the window.

    **Arguments:**

    - `centres`: preferred values, of shape `"fields"`, or `"*shape fields"` to give each value
        its own. A tuple is fixed, a JAX array is trained.
    - `widths`: standard deviations, positive: one number, or as `centres`. Only their squares
        are used, so a sign that changes in training has no effect.

    `GaussianReceptiveFields.evenly(fields)` spaces the centres evenly. **NaN** gives NaN; an
    **infinite** value gives responses of 0.

    **Derivative:** the formula's, with respect to values, centres and widths.

    **Raises:** `ValueError` for arguments outside the ranges above, or values whose shape
    does not fit that of `centres`.

    Source: Bohte, La Poutré & Kok, "Unsupervised clustering with spiking neurons by sparse
    temporal coding and multilayer RBF networks", IEEE Transactions on Neural Networks 13
    (2002).
    """

    centres: Constant = eqx.field(converter=constant("centres"))
    widths: Constant = eqx.field(converter=constant("widths", positive=True))

    def __check_init__(self):
        shape, widths = np.shape(self.centres), np.shape(self.widths)
        if not shape or shape[-1] == 0 or widths not in ((), shape[-1:], shape):
            raise ValueError(
                "`centres` must have one or more fields on its last axis, and `widths` must be "
                f"one number or of the same shape, got shapes {shape} and {widths}."
            )

    @classmethod
    def evenly(
        cls,
        fields: int,
        low: float = 0.0,
        high: float = 1.0,
        *,
        beta: float = 1.5,
        shape: tuple[int, ...] | None = None,
    ) -> "GaussianReceptiveFields":
        r"""Fields spaced evenly over [low, high], two of them outside, as in the source.

        With $n$ fields at the distance $d$, for $i$ from 0 to $n - 1$:

        $$
        d = \frac{\text{high} - \text{low}}{n - 2}, \quad
        c_i = \text{low} + (i - \tfrac{1}{2}) d, \quad
        w_i = \frac{d}{\beta}
        $$

        **Arguments:**

        - `fields`: how many, at least 3.
        - `low`, `high`: the range of the values.
        - `beta`: a larger one gives narrower fields. Positive; 1 to 2 in the source. (Keyword
            only.)
        - `shape`: the values' shape, to give each value its own *trained* fields; by default
            all values share fixed ones. (Keyword only.)
        """
        fields = positive_int("fields")(fields)
        if fields < 3 or not low < high or beta <= 0:
            raise ValueError(
                "`fields` must be at least 3, `low` below `high` and `beta` positive, got "
                f"fields={fields}, low={low}, high={high}, beta={beta}."
            )
        distance = (high - low) / (fields - 2)
        centres = low + (np.arange(fields) - 0.5) * distance
        if shape is None:
            return cls(centres, distance / beta)
        ones = jnp.ones((*shape, fields))
        centres = jnp.broadcast_to(jnp.asarray(centres, ones.dtype), ones.shape)
        return cls(centres, ones * (distance / beta))

    @checked
    def __call__(
        self,
        xs: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*shape fields"]:
        """**Arguments:**

        - `xs`: values (or signals), of any shape that ends with that of `centres` before its
            last axis.
        - `key`: ignored. (Keyword only.)

        **Returns:**

        Responses in [0, 1], of shape `"*shape fields"`, in the dtype of `xs`.
        """
        xs = as_floating(xs)
        x = xs.astype(state_dtype(xs))[..., None]
        centres = jnp.asarray(self.centres, x.dtype)
        widths = jnp.asarray(self.widths, x.dtype)
        own = centres.shape[:-1]
        if xs.shape[xs.ndim - len(own) :] != own:
            raise ValueError(
                f"the values must have the shape {own} of `centres` before its last axis, got "
                f"{xs.shape}."
            )
        shape = (*xs.shape, centres.shape[-1])
        # an infinity has the response 0, and no derivative that shared fields would see
        finite = ~jnp.isinf(x)
        distance = jnp.where(finite, x, 0) - jnp.broadcast_to(centres, shape)
        z = distance / jnp.broadcast_to(widths, shape)
        response = jnp.where(finite, jnp.exp(-0.5 * z * z), 0)
        return response.astype(xs.dtype)
