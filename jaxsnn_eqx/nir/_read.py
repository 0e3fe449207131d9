"""NIR graphs to networks."""

import functools as ft
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from .._encoder.direct import DirectEncoder
from .._encoder.lif import ConstantCurrentLIFEncoder
from .._layer import AbstractLayer
from .._network import Network
from .._neuron.li import LI
from .._neuron.lif import LIF
from .._neuron.recurrent import Recurrent
from .._neuron.synapse import Synapse
from .._over_time import OverTime
from .._parameters import AnyLIFParameters, LearnableLIFParameters, LIFParameters
from .._surrogate import AbstractSurrogate, SuperSpike
from .._types import checked, positive_number
from ._common import NEVER, Scale, nir


@checked
def from_nir(
    graph: nir.NIRGraph,
    *,
    dt: float | None = None,
    seq_length: int | None = None,
    surrogate: AbstractSurrogate = SuperSpike(),
) -> Network:
    """The network that a NIR graph describes.

    ```python
    >>> import jax.numpy as jnp
    >>> import jaxsnn_eqx as snn
    >>> from jaxsnn_eqx import nir
    >>> network = nir.from_nir(nir.to_nir(snn.LIF(), shape=3))
    >>> network[0].params == snn.LIFParameters()
    True
    >>> network(jnp.ones((100, 3))).shape
    (100, 3)

    ```

    `graph = nir.read("network.nir")`, of the package `nir`, reads one. Its nodes must form
    one chain from one input to one output, with at most lateral connections beside it.
    Subgraphs are unrolled.

    Spikes have no size that shows, so the `r` and `w_in` of a neuron that fires go into its
    potentials; those of one that does not go into a `Scale` before it, unless they make 1. A
    neuron that differs within its layer becomes a `LIF` with `LearnableLIFParameters`. Neurons
    with a threshold of 1e30 or more become `LI`. In NIR a convolution always has a bias: one of
    zeros is none here.

    **Arguments:**

    - `graph`: the graph.
    - `dt`: length of a step, in seconds; a graph's weights belong to it. By default the one in
        the graph's metadata, where `to_nir` puts it, or else 1e-3. For a graph of
        snnTorch: 1e-4. (Keyword only.)
    - `seq_length`: if given, the network takes values without a time axis, each the
        constant input of so many steps: a first `nir.LIF` becomes a
        `ConstantCurrentLIFEncoder`, and before anything else a `DirectEncoder` is put.
        (Keyword only.)
    - `surrogate`: of all neurons, as NIR has none. (Keyword only.)

    **Returns:**

    The `Network`.

    **Raises:** `ValueError` for a node that no layer stands for, a graph that is not a chain,
    time constants below `dt`, or a `dt` that is not the graph's.

    Norse's `to_nir` multiplies all time constants by its argument `dt`: call it with `dt=1`. It
    leaves out the `w_in` of an `LIFCell`: set that of the node to `tau_syn / dt`.
    """
    dt = _graph_dt(graph, dt)
    nodes, laterals = _chain(graph)
    nodes = _merged(nodes)
    layers: list[AbstractLayer] = []
    if seq_length is not None and not (nodes and isinstance(nodes[0][1], nir.LIF)):
        layers.append(DirectEncoder(seq_length))
    for i, (name, node) in enumerate(nodes):
        source = _Source(name, dt, surrogate, seq_length if i == 0 else None)
        made = _layers(node, source)
        if name in laterals:
            made = _recurrent(made, laterals[name], source)
        layers += made
    return Network(layers)


class _Source(NamedTuple):
    """Where a node stands, and what is known besides."""

    name: str
    dt: float
    surrogate: AbstractSurrogate
    seq_length: int | None

    def refuse(self, why: str) -> ValueError:
        return ValueError(f"node {self.name!r}: {why}")


def _graph_dt(graph: nir.NIRGraph, dt: float | None) -> float:
    written = graph.metadata.get("dt")
    if written is None:
        return 1e-3 if dt is None else positive_number("dt")(dt)
    written = positive_number("dt")(float(written))
    if dt is not None and not np.isclose(dt, written, rtol=1e-6):
        raise ValueError(
            f"`dt` must be the graph's, {written} s, got {dt} s: a spike lasts for one step, "
            "so the weights belong to it."
        )
    return written


def _chain(graph: nir.NIRGraph) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
    """Nodes from input to output, and the lateral map of each neuron that has one."""
    nodes, edges = _flattened(graph)
    laterals = {}
    for a, b in sorted(edges):
        is_lateral = (
            (b, a) in edges
            and isinstance(nodes[a], nir.LIF | nir.CubaLIF)
            and isinstance(nodes[b], nir.Affine | nir.Linear)
            and sum(b in edge for edge in edges) == 2
        )
        if is_lateral and a not in laterals:
            laterals[a] = nodes.pop(b)
            edges -= {(a, b), (b, a)}
    chain = [name for name, node in nodes.items() if isinstance(node, nir.Input)]
    following = dict(edges)
    while chain and chain[-1] in following and len(chain) < len(nodes):
        chain.append(following[chain[-1]])
    is_chain = len(edges) == len(nodes) - 1 and set(chain) == set(nodes)
    if not is_chain or not isinstance(nodes[chain[-1]], nir.Output):
        raise ValueError(
            "the graph must be one chain from one `nir.Input` to one `nir.Output`, with at "
            "most a neuron's lateral connections beside it (neuron -> linear -> neuron), got "
            f"the edges {sorted(graph.edges)}."
        )
    return [(name, nodes[name]) for name in chain[1:-1]], laterals


def _flattened(graph: nir.NIRGraph) -> tuple[dict[str, Any], set[tuple[str, str]]]:
    """All nodes and edges; subgraphs are unrolled, and their inputs and outputs bridged."""
    nodes, edges = {}, {(a, b) for a, b in graph.edges}
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.NIRGraph):
            nodes[name] = node
            continue
        inner, inner_edges = _flattened(node)
        inner = {f"{name}.{key}": value for key, value in inner.items()}
        begins = [key for key, value in inner.items() if isinstance(value, nir.Input)]
        ends = [key for key, value in inner.items() if isinstance(value, nir.Output)]
        if len(begins) != 1 or len(ends) != 1:
            raise ValueError(
                f"subgraph {name!r} must have one `nir.Input` and one `nir.Output`, got "
                f"{len(begins)} and {len(ends)}."
            )
        [begin], [end] = begins, ends
        edges = {(end if a == name else a, begin if b == name else b) for a, b in edges}
        edges |= {(f"{name}.{a}", f"{name}.{b}") for a, b in inner_edges}
        for port in (begin, end):
            into = [a for a, b in edges if b == port]
            out = [b for a, b in edges if a == port]
            edges = {edge for edge in edges if port not in edge}
            edges |= {(a, b) for a in into for b in out}
            del inner[port]
        nodes |= inner
    return nodes, edges


def _merged(nodes: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The nodes, with each leaky integrator that never fires as one `nir.CubaLI`."""
    merged = []
    for name, node in nodes:
        before = merged[-1][1] if merged else None
        if isinstance(node, nir.LIF) and (node.v_threshold >= NEVER).all():
            node = nir.LI(node.tau, node.r, node.v_leak)
        if isinstance(node, nir.CubaLIF) and (node.v_threshold >= NEVER).all():
            node = nir.CubaLI(node.tau_syn, node.tau_mem, node.r, node.v_leak, node.w_in)
        elif (
            isinstance(node, nir.LI) and isinstance(before, nir.LI) and not before.v_leak.any()
        ):
            merged.pop()
            node = nir.CubaLI(before.tau, node.tau, node.r, node.v_leak, before.r)
        merged.append((name, node))
    return merged


@ft.singledispatch
def _layers(node: Any, source: _Source) -> list[AbstractLayer]:
    """The layers of one node, in series."""
    raise source.refuse(f"no layer stands for a `{type(node).__name__}` of NIR.")


@_layers.register
def _(node: nir.Linear, source: _Source) -> list[AbstractLayer]:
    return [OverTime(_linear(node.weight, None, source))]


@_layers.register
def _(node: nir.Affine, source: _Source) -> list[AbstractLayer]:
    return [OverTime(_linear(node.weight, node.bias, source))]


def _linear(weight: np.ndarray, bias: np.ndarray | None, source: _Source) -> eqx.nn.Linear:
    if np.ndim(weight) != 2:
        raise source.refuse(f"`weight` must be a matrix, got shape {np.shape(weight)}.")
    out_features, in_features = weight.shape
    linear = eqx.nn.Linear(in_features, out_features, bias is not None, key=jr.key(0))
    linear = eqx.tree_at(lambda m: m.weight, linear, _weights(weight))
    return linear if bias is None else eqx.tree_at(lambda m: m.bias, linear, _weights(bias))


def _weights(array: Any) -> Array:
    return jnp.asarray(array, jnp.result_type(float))


@_layers.register(nir.Conv1d)
@_layers.register(nir.Conv2d)
def _(node, source: _Source) -> list[AbstractLayer]:
    weight, bias = np.asarray(node.weight), np.asarray(node.bias)
    axes = weight.ndim - 2
    make = eqx.nn.Conv1d if axes == 1 else eqx.nn.Conv2d

    def each(value) -> tuple[int, ...]:
        return tuple(int(v) for v in np.broadcast_to(np.asarray(value), (axes,)))

    pads = node.padding
    conv = make(
        weight.shape[1] * int(node.groups),
        weight.shape[0],
        weight.shape[2:],
        each(node.stride),
        pads.upper() if isinstance(pads, str) else tuple((p, p) for p in each(pads)),
        each(node.dilation),
        int(node.groups),
        use_bias=bool(bias.any()),
        key=jr.key(0),
    )
    conv = eqx.tree_at(lambda m: m.weight, conv, _weights(weight))
    if bias.any():
        bias = bias.reshape(-1, *[1] * axes)
        conv = eqx.tree_at(lambda m: m.bias, conv, _weights(bias))
    return [OverTime(conv)]


@_layers.register
def _(node: nir.Flatten, source: _Source) -> list[AbstractLayer]:
    out = node.output_type["output"]
    if out is None or np.size(out) != 1:
        raise source.refuse(
            "`Flatten` must flatten all axes (NIR's shapes have none for time or batch), got "
            f"start_dim={node.start_dim}, end_dim={node.end_dim} for the shape "
            f"{node.input_type['input']}."
        )
    return [OverTime(eqx.nn.Lambda(jnp.ravel))]


@_layers.register
def _(node: nir.Scale, source: _Source) -> list[AbstractLayer]:
    return [OverTime(Scale(_weights(node.scale)))]


@_layers.register
def _(node: nir.LIF, source: _Source) -> list[AbstractLayer]:
    r = _positive("r", _exact(node.r), source)
    potentials = [_exact(v) / r for v in (node.v_threshold, node.v_leak, node.v_reset)]
    params = _parameters(node.tau, potentials, source)
    if source.seq_length is None:
        return [LIF(params, source.dt, source.surrogate)]
    if not isinstance(params, LIFParameters):
        raise source.refuse(
            "neurons that encode values must be the same for all of their layer; without "
            "`seq_length` they may differ."
        )
    return [ConstantCurrentLIFEncoder(source.seq_length, params, source.dt, source.surrogate)]


def _parameters(
    tau_mem: Any, potentials: list[np.ndarray], source: _Source
) -> AnyLIFParameters:
    """One set of constants where all neurons have the same, else each its own.

    The potentials are `v_th`, `v_leak` and `v_reset`.
    """
    names = ("v_th", "v_leak", "v_reset")
    if _same(_exact(tau_mem), *potentials):
        same = dict(zip(names, map(_value, potentials), strict=True))
        return LIFParameters(tau_mem=_time(tau_mem, source), **same)
    each = dict(zip(names, potentials, strict=True))
    return LearnableLIFParameters(
        np.shape(tau_mem), tau_min=source.dt, tau_mem=_exact(tau_mem), **each
    )


@_layers.register
def _(node: nir.CubaLIF, source: _Source) -> list[AbstractLayer]:
    # a spike moves the current by 1, and the potential is counted in what that brings
    unit = _positive("r * w_in", _exact(node.r) * _jump(node, source), source)
    potentials = [_exact(v) / unit for v in (node.v_threshold, node.v_leak, node.v_reset)]
    params = _parameters(node.tau_mem, potentials, source)
    tau_syn = _exact(node.tau_syn)
    tau_syn = _time(node.tau_syn, source) if _same(tau_syn) else tau_syn
    neuron = LIF(params, source.dt, source.surrogate)
    return [Synapse(neuron, tau_syn, immediate=False)]


@_layers.register
def _(node: nir.LI, source: _Source) -> list[AbstractLayer]:
    if not _same(*map(_exact, (node.tau, node.v_leak))):
        raise source.refuse(
            "a leaky integrator must have the same time constants and `v_leak` for all neurons "
            "of its layer."
        )
    params = LIFParameters(tau_mem=_time(node.tau, source), v_leak=_value(_exact(node.v_leak)))
    return _scaled(_exact(node.r), LI(params, source.dt))


@_layers.register
def _(node: nir.CubaLI, source: _Source) -> list[AbstractLayer]:
    if not _same(*map(_exact, (node.tau_syn, node.tau_mem, node.v_leak))):
        raise source.refuse(
            "a leaky integrator must have the same time constants and `v_leak` for all neurons "
            "of its layer."
        )
    params = LIFParameters(
        tau_mem=_time(node.tau_mem, source), v_leak=_value(_exact(node.v_leak))
    )
    neuron = Synapse(LI(params, source.dt), _time(node.tau_syn, source))
    return _scaled(_exact(node.r) * _jump(node, source), neuron)


def _scaled(gain: np.ndarray, layer: AbstractLayer) -> list[AbstractLayer]:
    """The layer, behind what its input is multiplied by."""
    if np.allclose(gain, 1, rtol=1e-6):
        return [layer]
    gain = np.asarray(_value(gain)) if _same(gain) else gain
    return [OverTime(Scale(_weights(gain))), layer]


def _jump(node: nir.CubaLIF | nir.CubaLI, source: _Source) -> np.ndarray:
    """By how much a spike, a 1 for one step, moves the synaptic current."""
    return _exact(node.w_in) * (source.dt / _exact(node.tau_syn))


def _exact(array: Any) -> np.ndarray:
    """In float64, as the decimals that were meant: 0.01, and not the float32 next to it."""
    array = np.asarray(array)
    if array.dtype != np.float32:
        return array.astype(float)
    values, where = np.unique(array, return_inverse=True)
    return np.array([float(str(v)) for v in values])[where].reshape(array.shape)


def _same(*arrays: np.ndarray) -> bool:
    return all(np.allclose(a, np.ravel(a)[:1], rtol=1e-6, atol=0) for a in arrays)


def _value(array: np.ndarray) -> float:
    """The first value, to float32's digits."""
    return float(str(np.float32(np.ravel(array)[0])))


def _time(tau: Any, source: _Source) -> float:
    value = _value(_exact(tau))
    return source.dt if np.isclose(value, source.dt, rtol=1e-6, atol=0) else value


def _positive(name: str, value: np.ndarray, source: _Source) -> np.ndarray:
    if not (value > 0).all():
        raise source.refuse(f"`{name}` must be positive, got {value}.")
    return value


def _recurrent(
    layers: list[AbstractLayer], lateral: nir.Affine | nir.Linear, source: _Source
) -> list[AbstractLayer]:
    """The neuron that the cycle goes through, with the map back to it."""
    [neuron] = layers
    if not isinstance(neuron, Synapse):
        raise source.refuse(
            "lateral connections need neurons with a synapse and a threshold (`CubaLIF`)."
        )
    bias = lateral.bias if isinstance(lateral, nir.Affine) else None
    return [Recurrent(neuron, _linear(lateral.weight, bias, source))]
