"""Networks to NIR graphs."""

import warnings
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._encoder.direct import DirectEncoder
from .._encoder.preprocessed import Preprocessed
from .._encoder.scale import Scale
from .._layer import AbstractLayer, time_steps
from .._network import Network
from .._neuron.delay import Delay
from .._neuron.recurrent import Recurrent
from .._over_time import OverTime
from .._types import checked, positive_number
from ._common import nir
from ._write_neurons import Target, neuron_nodes
from ._write_stateless import stateless_nodes


@checked
def to_nir(
    model: AbstractLayer,
    shape: int | tuple[int, ...] | None = None,
    *,
    dt: float | None = None,
    li: type | None = None,
) -> nir.NIRGraph:
    """The NIR graph of a network, or of one layer.

    ```python
    >>> import equinox as eqx, jax
    >>> import jaxsnn_eqx as snn
    >>> from jaxsnn_eqx import nir
    >>> network = snn.Network([
    ...     snn.ConstantCurrentLIFEncoder(seq_length=100),
    ...     snn.OverTime(eqx.nn.Linear(64, 10, use_bias=False, key=jax.random.key(0))),
    ...     snn.LI(),
    ...     snn.MaxOverTime(),
    ... ])
    >>> graph = nir.to_nir(network[:-1])
    >>> list(graph.nodes)
    ['input', 'lif', 'linear', 'li', 'output']

    ```

    `nir.write("network.nir", graph)`, of the package `nir`, writes it.

    A `Synapse` of a `LIF` without `r` and `w_in` becomes a `CubaLIF` with `r = tau_mem / dt`,
    `w_in = tau_syn / dt` and all potentials multiplied by `tau_mem / dt`: the same spikes, also
    in readers that take no notice of `r` and `w_in` (spyx), and in those that ask for this `r`
    (snnTorch). The constants of all other nodes are the layers' own. Arrays are float32, or
    float64 where float32 would change the decimals of a constant.

    What NIR has no fields for is written into the metadata of the nodes, where `from_nir` finds
    it: `soft_reset`, `detach_reset`, `refractory`, `immediate=False`, the constants before
    they were multiplied, and which of them are trained.

    **Arguments:**

    - `model`: a `Network` or another layer, as in the table of this module; networks in
        networks are unrolled.
    - `shape`: the shape of one step's input, without time and batch. By default that of the
        first layer's `eqx.nn.Linear`; needed where none tells it.
    - `dt`: the step of a reader that knows one only (1e-4 for snnTorch), in seconds. All time
        constants are stretched with it, so that one step of that reader is one step of
        the network. By default the network's own. (Keyword only.)
    - `li`: what an `LI` becomes, since not all readers know all kinds. By default `nir.LI`, or
        behind a synapse `nir.CubaLI`. `nir.CubaLI` for both (without a synapse, one whose
        current lasts for a step); `nir.LI`, behind a synapse two of them in
        series, the first the synapse; or `nir.CubaLIF` with a threshold out of reach (1e30),
        whose membrane is the output. (Keyword only.)

    **Returns:**

    The graph, with `dt` in its metadata.

    **Raises:** `ValueError` for a layer that NIR has no node for. **Warns** of soft and
    detached resets, refractory periods and `immediate=False`, which other readers do not find.
    """
    kinds = (nir.CubaLI, nir.LI, nir.CubaLIF)
    if li is not None and li not in kinds:
        raise ValueError(f"`li` must be one of {[k.__name__ for k in kinds]} of nir, got {li}.")
    layers = list(_unrolled(model))
    if shape is None:
        shape = _input_shape(layers)
    size: tuple[int, ...] = (shape,) if isinstance(shape, int) else shape
    own = next(iter(time_steps(layers).values()), dt or 1e-3)
    dt = own if dt is None else positive_number("dt")(dt)
    graph = _Chain(size)
    for i, layer in enumerate(layers):
        if isinstance(layer, DirectEncoder) and i == 0:
            continue  # a constant input
        to = Target(size, own, dt, li)
        if isinstance(layer, Recurrent):
            _append_recurrent(graph, layer, to)
        else:
            for node in _nodes(layer, to):
                graph.append(node)
        x = jax.ShapeDtypeStruct(size, jnp.float32)
        size = eqx.filter_eval_shape(lambda m, x: m.step(m.init(x), x)[1], layer, x).shape
    _warn_of_metadata(graph)
    return graph.closed(size, {"dt": dt})


class _Chain:
    """A graph in the making: each node behind the last."""

    def __init__(self, shape: tuple[int, ...]):
        self.nodes: dict = {"input": nir.Input({"input": np.array(shape, int)})}
        self.edges: list = []
        self.last = "input"

    def name(self, kind: str) -> str:
        """`kind`, numbered from the second of its kind on."""
        taken = {name.split(".")[0] for name in self.nodes}
        return next(n for n in (kind, *_numbered(kind, len(taken))) if n not in taken)

    def append(self, node: nir.NIRNode, name: str | None = None) -> None:
        name = self.name(type(node).__name__.lower()) if name is None else name
        self.nodes[name] = node
        self.edges.append((self.last, name))
        self.last = name

    def closed(self, shape: tuple[int, ...], metadata: dict) -> nir.NIRGraph:
        self.append(nir.Output({"output": np.array(shape, int)}))
        return nir.NIRGraph(self.nodes, self.edges, metadata)


def _numbered(kind: str, count: int) -> Iterator[str]:
    return (f"{kind}_{i}" for i in range(1, count + 1))


def _append_recurrent(graph: _Chain, layer: Recurrent, to: Target) -> None:
    """A graph of its own, with the cycle of neuron and lateral map.

    Where the cycle is part of the whole graph, snnTorch sends the input, too, through the map.
    """
    nodes = _nodes(layer.layer, to)
    if len(nodes) != 1 or not isinstance(layer.linear, eqx.nn.Linear):
        raise ValueError(
            "`Recurrent` has NIR nodes for a neuron that is one node and an `eqx.nn.Linear`, "
            f"got `{type(layer.layer).__name__}` and `{type(layer.linear).__name__}`."
        )
    [lateral] = stateless_nodes(layer.linear, to)
    shape = np.array(to.shape, int)
    ends = {"input": nir.Input({"input": shape}), "output": nir.Output({"output": shape})}
    edges = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    cycle = nir.NIRGraph({**ends, "lif": nodes[0], "w_rec": lateral}, edges)
    graph.append(cycle, graph.name("recurrent"))


def _warn_of_metadata(graph: _Chain) -> None:
    """Warns of what other readers of the graph run in another way."""
    said = {}
    inner = {
        f"{name}.{key}": node
        for name, cycle in graph.nodes.items()
        if isinstance(cycle, nir.NIRGraph)
        for key, node in cycle.nodes.items()
    }
    for name, node in (graph.nodes | inner).items():
        words = [
            key
            for key in ("soft_reset", "detach_reset", "refractory")
            if node.metadata.get(key)
        ]
        words += ["immediate=False"] * (not node.metadata.get("immediate", True))
        if words:
            said[name] = ", ".join(words)
    if said:
        warnings.warn(
            f"NIR has no fields for {said}: they are in the metadata of these nodes, which "
            "`from_nir` reads. Other readers run these nodes without them.",
            stacklevel=5,  # past the checks of shapes
        )


def _unrolled(model: AbstractLayer) -> Iterator[AbstractLayer]:
    if not isinstance(model, Network):
        yield model
        return
    for layer in model:
        yield from _unrolled(layer)


def _input_shape(layers: list[AbstractLayer]) -> tuple[int, ...]:
    for layer in layers:
        inner = None
        if isinstance(layer, OverTime):
            inner = layer.layer
        elif isinstance(layer, Recurrent):
            inner = layer.linear
        if isinstance(inner, eqx.nn.Linear) and isinstance(inner.in_features, int):
            return (inner.in_features,)
        if isinstance(layer, OverTime) and not isinstance(inner, Scale):
            break
    raise ValueError(
        "`shape`, of one step's input, must be given: no `eqx.nn.Linear` comes before a layer "
        "that changes it."
    )


def _nodes(layer: AbstractLayer, to: Target) -> list[nir.NIRNode]:
    """The nodes of one layer, in series."""
    if isinstance(layer, OverTime):
        return stateless_nodes(layer.layer, to)
    if isinstance(layer, Preprocessed) and isinstance(layer.fn, Scale):
        return [*stateless_nodes(layer.fn, to), *_nodes(layer.encoder, to)]
    if isinstance(layer, Delay):
        return [nir.Delay(to.time(_applied(layer)))]
    return neuron_nodes(layer, to)


def _applied(layer: Delay) -> Any:
    """The delays in seconds; trained ones in whole steps, as they are applied."""
    if not isinstance(layer.delays, jax.Array):
        return layer.delays
    steps = np.round(np.asarray(layer.delays, float) / layer.dt) * layer.dt
    return np.float32(np.clip(steps, 0.0, layer.longest))
