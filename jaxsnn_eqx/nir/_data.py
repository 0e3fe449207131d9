"""Spike trains to and from NIR data."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Shaped

from .._types import NestedNumbers, as_wide, checked, positive_number
from ._common import nir


@checked
def to_nir_data(
    spikes: Shaped[ArrayLike, "samples time *shape"] | NestedNumbers,
    *,
    dt: float = 1e-3,
    node: str = "input",
) -> nir.NIRGraphData:
    """Spike trains as NIR data: what goes into a graph, or came out of one of its nodes.

    ```python
    >>> import jax, jax.numpy as jnp
    >>> import jaxsnn_eqx as snn
    >>> from jaxsnn_eqx import nir
    >>> images = jnp.linspace(0.0, 4.0, 12).reshape(2, 6)
    >>> spikes = jax.vmap(snn.ConstantCurrentLIFEncoder(seq_length=50))(images)
    >>> data = nir.to_nir_data(spikes)
    >>> data.nodes["input"].observables["spikes"].shape
    (2, 50, 6)

    ```

    `nir.write_data("spikes.nir", data)`, of the package `nir`, writes them.

    **Arguments:**

    - `spikes`: of shape `"samples time *shape"`: unlike elsewhere in this package there is an
        axis of samples, which NIR data has.
    - `dt`: length of a step, in seconds. (Keyword only.)
    - `node`: the graph's node that they belong to. (Keyword only.)

    **Returns:**

    A `NIRGraphData` with the observable `"spikes"` of that node, of shape
    `(samples, time, neurons)`: boolean if all spikes are 0 or 1, else float32, or float64 if
    the spikes are. `from_nir_data` gives them back exactly.
    """
    data = np.asarray(as_wide(spikes))
    data = data.reshape(*data.shape[:2], int(np.prod(data.shape[2:])))
    data = data.astype(bool) if np.isin(data, (0, 1)).all() else data
    gridded = nir.TimeGriddedData(data, positive_number("dt")(dt))
    return nir.NIRGraphData({node: nir.NIRNodeData({"spikes": gridded})})


@checked
def from_nir_data(
    data: nir.NIRGraphData,
    *,
    dt: float = 1e-3,
    node: str | None = None,
) -> Float[Array, "samples time neurons"]:
    """Spike trains from NIR data, gridded or as lists of events.

    ```python
    >>> import numpy as np
    >>> import nir as nir_package
    >>> from jaxsnn_eqx import nir
    >>> events = nir_package.EventData(
    ...     idx=np.array([[1, 0]]), time=np.array([[0.0, 2e-3]]), n_neurons=2, t_max=3e-3
    ... )
    >>> node = nir_package.NIRNodeData({"spikes": events})
    >>> nir.from_nir_data(nir_package.NIRGraphData({"input": node}))
    Array([[[0., 1.],
            [0., 0.],
            [1., 0.]]], dtype=float32)

    ```

    An event at time t falls into step `floor(t / dt)`, rounding errors aside. More than one
    of a neuron in a step are one spike; if they have values, these add up.

    **Arguments:**

    - `data`: as `nir.read_data` gives it.
    - `dt`: length of a step, in seconds. (Keyword only.)
    - `node`: which node's `"spikes"`; may be left out if there is but one. (Keyword only.)

    **Returns:**

    Spikes of shape `"samples time neurons"`.

    **Raises:** `ValueError` for a missing node or observable, events outside of the recording
    or of its neurons, or gridded data of another `dt`.
    """
    dt = positive_number("dt")(dt)
    if node is None and len(data.nodes) == 1:
        [node] = data.nodes
    recorded = data.nodes.get(node) if node is not None else None
    observables = recorded.observables if isinstance(recorded, nir.NIRNodeData) else {}
    if "spikes" not in observables:
        raise ValueError(
            f"`node` must be one with 'spikes', got {node!r} of {list(data.nodes)}."
        )
    spikes = observables["spikes"]
    if isinstance(spikes, nir.EventData):
        return jnp.asarray(_gridded(spikes, dt), jnp.result_type(float))
    if not np.isclose(spikes.dt, dt, rtol=1e-6, atol=0):
        raise ValueError(f"`dt` must be the data's, {spikes.dt} s, got {dt} s.")
    return jnp.asarray(spikes.data, jnp.result_type(float))


def _gridded(events: nir.EventData, dt: float) -> np.ndarray:
    # nir's own `to_time_gridded` rounds 0.3 / 0.1 down to 2
    steps = int(np.ceil(events.t_max / dt - 1e-6))
    dtype = events.value.dtype if isinstance(events, nir.ValuedEventData) else np.float32
    grid = np.zeros((len(events.idx), steps, events.n_neurons), dtype)
    sample, event = np.nonzero(events.idx != -1)
    neuron, time = events.idx[sample, event], events.time[sample, event]
    # a time in float32 may be that much before the start of its step
    precision = np.finfo(np.result_type(time, np.float16)).eps
    step = np.floor(time.astype(float) / dt + 1e-6 + 2 * steps * precision)
    if not (((step >= 0) & (step < steps)) & ((neuron >= 0) & (neuron < grid.shape[2]))).all():
        raise ValueError(
            f"events must lie within 0 and `t_max`={events.t_max} s, and among "
            f"`n_neurons`={events.n_neurons}."
        )
    where = (sample, step.astype(int), neuron)
    if isinstance(events, nir.ValuedEventData):
        np.add.at(grid, where, events.value[sample, event])
    else:
        grid[where] = 1
    return grid
