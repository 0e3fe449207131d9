"""Recorded states, for plots and tests."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, PRNGKeyArray, PyTree, Shaped

from ._decode import AbstractDecoder
from ._integrate import integrate
from ._layer import AbstractLayer
from ._network import Network
from ._types import AnyInput, as_floating, checked, first_step


@checked
def trace(
    layer: AbstractLayer,
    x: AnyInput,
    *,
    record: Callable[[PyTree], Any] | None = None,
    key: PRNGKeyArray | None = None,
) -> tuple[Any, Shaped[Array, "time ..."]]:
    """Runs a layer and records its potential, or any part of its state, beside its output.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LIF, ConstantCurrentLIFEncoder, Synapse, trace
    >>> potentials, spikes = trace(ConstantCurrentLIFEncoder(seq_length=4), 2.0)
    >>> potentials, spikes
    (Array([0.2  , 0.38 , 0.542, 0.   ], dtype=float32), Array([0., 0., 0., 1.], dtype=float32))
    >>> neurons = Synapse(LIF(), immediate=False)
    >>> currents, _ = trace(neurons, jnp.ones(3), record=lambda state: state.current)
    >>> currents
    Array([1.  , 1.8 , 2.44], dtype=float32)

    ```

    **Arguments:**

    - `layer`: any layer; a `Network`'s state is the tuple of its layers' states.
    - `x`: the input of the layer: values `"*shape"`, or a sequence `"time *shape"`.
    - `record`: a function from the state after a step (after the reset) to the PyTree of arrays
        to record. By default the membrane potential: the field `potential` of the state, also
        of a layer within `layer`, or the state itself if it is one array; for a `Network`, a
        tuple with an entry for each layer, which is `None` if the layer has no potential. A new
        function compiles again. (Keyword only.)
    - `key`: for layers that draw random numbers. (Keyword only.)

    **Returns:**

    `(recorded, out)`, with time on axis 0: the outputs of `record` and of `layer.step`. Both
    are differentiable.

    **Raises:** `ValueError` if `record` is not given and there is no potential.
    """
    return _trace(layer, as_floating(x), record, key)


@eqx.filter_jit
def _trace(layer: AbstractLayer, x: Array, record: Callable | None, key: PRNGKeyArray | None):
    length = layer.seq_length
    state = layer.init(x if length is not None else first_step(x))
    if record is None and not jtu.tree_leaves(_potential(layer, state)):
        raise ValueError(
            f"`layer` must have a membrane potential, got `{type(layer).__name__}`: give "
            "`record`, a function from its state to the arrays to record."
        )

    def step(state, x_t):
        state, out = layer.step(state, x if x_t is None else x_t, key=key)
        return state, (_potential(layer, state) if record is None else record(state), out)

    return integrate(step, state, x if length is None else None, length=length)[1]


def _potential(layer: AbstractLayer, state: PyTree) -> PyTree:
    if isinstance(layer, Network):
        return tuple(_potential(*pair) for pair in zip(layer.layers, state, strict=True))
    if isinstance(layer, AbstractDecoder):
        return None
    for path, leaf in jtu.tree_leaves_with_path(state):
        named = path[-1:] == (jtu.GetAttrKey("potential"),)
        if named or (not path and jnp.issubdtype(leaf.dtype, jnp.floating)):
            return leaf
    return None
