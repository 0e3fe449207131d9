"""Membrane potentials beside the output, for plots and tests."""

from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from ._encoder.base import AbstractHeldEncoder
from ._integrate import integrate
from ._layer import AbstractLayer, AbstractMembrane, Cell, VoltageCell
from ._types import NestedNumbers, as_floating, checked, first_step


@checked
def trace(
    layer: AbstractLayer,
    x: Shaped[ArrayLike, "..."] | NestedNumbers,
    *,
    key: PRNGKeyArray | None = None,
) -> tuple[Float[Array, "time *shape"], Shaped[Array, "time *shape"]]:
    """Runs a layer and records its membrane potential beside its output.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import ConstantCurrentLIFEncoder, trace
    >>> voltages, spikes = trace(ConstantCurrentLIFEncoder(seq_length=4), 2.0)
    >>> voltages, spikes
    (Array([0.2  , 0.38 , 0.542, 0.   ], dtype=float32), Array([0., 0., 0., 1.], dtype=float32))

    ```

    **Arguments:**

    - `layer`: a layer with a membrane: an encoder of the LIF family, or a neuron.
    - `x`: what the layer is called on: values `"*shape"`, or a sequence `"time *shape"`.
    - `key`: for layers that draw. (Keyword only.)

    **Returns:**

    `(voltages, out)`, both of shape `"time *shape"`: the potential after each step (and so
    after its reset), and what `layer(x, key=key)` returns. Both are differentiable.
    """
    x = as_floating(x)
    if not isinstance(layer, AbstractMembrane):
        raise ValueError(
            f"`layer` must have a membrane (the LIF encoders and the neurons), got "
            f"`{type(layer).__name__}`."
        )
    if isinstance(layer, AbstractHeldEncoder):
        cell, state = Cell(layer, x, key), layer.init(x)
        xs, length = None, layer.seq_length
    else:
        cell, state = Cell(layer, None, key), layer.init(first_step(x))
        xs, length = x, None
    _, (voltages, out) = integrate(
        VoltageCell(cell),
        state,
        xs,
        length=length,
        checkpoint_every=layer.checkpoint_every,
    )
    return voltages, out
