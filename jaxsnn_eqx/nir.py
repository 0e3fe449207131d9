"""Networks to and from NIR, the Neuromorphic Intermediate Representation.

`from jaxsnn_eqx import nir`, with the extra `jaxsnn_eqx[nir]`; nothing here imports it. A NIR
graph says in continuous time, in seconds, what a network computes; simulators and
neuromorphic chips read it.

**What maps to what.**

| layer | NIR |
|---|---|
| `LIFCurrentEncoder`, `ConstantCurrentLIFEncoder` | `LIF`; the constant value is a held input |
| `LIF`, `ParametricLIF` | `CubaLIF` |
| `LI` | `CubaLI`, two `LI` in series, or a `CubaLIF` that never fires |
| `Recurrent(layer, linear)` | the layer, with `Affine` or `Linear` back to it |
| `OverTime` of `eqx.nn.Linear` | `Affine`, or `Linear` without bias |
| `OverTime` of `eqx.nn.Conv1d`, `eqx.nn.Conv2d` | `Conv1d`, `Conv2d` |
| `OverTime(eqx.nn.Lambda(jnp.ravel))` | `Flatten` of all axes |
| `OverTime(Scale(...))` | `Scale` |
| `DirectEncoder`; `eqx.nn.Identity`; `eqx.nn.Dropout` in inference mode | no node |

Everything else is refused. So are decoders: export `network[:-1]`, and reduce what the reader
gives.

**A spike** is a 1 that lasts for one step, as in all readers known, so it moves a synapse by
`w_in · dt / tau_syn`; here it moves it by 1. Hence a graph's weights belong to its step `dt`,
which `to_nir` writes into the graph's metadata.

**Order.** Norse and snnTorch add a step's input to the synapse of a `CubaLIF` before they
integrate its membrane; `LIF` does so after. Their output comes as many steps earlier as there
are `LIF` layers between: the spikes are the same ones (a bias behind a `LIF` starts with the
first step in both, and so acts one step longer here). `LIFCurrentEncoder` and `LI` agree with
them at every step. Lateral spikes of a `Recurrent` come one step later than theirs, in a loop,
which no shift undoes. Potentials start at 0 here, and at `v_leak` in Norse.

Source: Pedersen et al., "Neuromorphic intermediate representation: A unified instruction set
for interoperable brain-inspired computing", Nature Communications 15 (2024).
"""

import functools as ft
from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from ._decode import AbstractDecoder
from ._encoder.base import AbstractEncoder
from ._encoder.direct import DirectEncoder
from ._encoder.lif import ConstantCurrentLIFEncoder, LIFCurrentEncoder
from ._layer import AbstractLayer, AbstractTimed
from ._network import Network
from ._neuron.li import LI
from ._neuron.lif import LIF
from ._neuron.parametric import ParametricLIF
from ._neuron.recurrent import Recurrent
from ._over_time import OverTime
from ._parameters import LIFParameters
from ._surrogate import AbstractSurrogate, SuperSpike
from ._types import NestedNumbers, as_floating, checked, positive_number

try:
    import nir
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


@checked
def to_nir(
    model: AbstractLayer,
    shape: int | tuple[int, ...] | None = None,
    *,
    dt: float | None = None,
    li: type = nir.CubaLI,
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
    ['input', 'lif', 'linear', 'cubali', 'output']

    ```

    `nir.write("network.nir", graph)`, of the package `nir`, writes it.

    A `LIF` becomes a `CubaLIF` with `r = tau_mem / dt`, `w_in = tau_syn / dt` and all
    potentials multiplied by `tau_mem / dt`: the same spikes, also in readers that take no
    notice of `r` and `w_in` (spyx), and in those that ask for this `r` (snnTorch). The
    potentials of all other nodes are the layers' own. Arrays are float32.

    **Arguments:**

    - `model`: a `Network` or another layer, as in the table of this module; networks in
        networks are unrolled.
    - `shape`: the shape of one step's input, without time and batch. By default that of the
        first layer's `eqx.nn.Linear`; needed where none tells it.
    - `dt`: the step of a reader that knows one only (1e-4 for snnTorch), in seconds. All time
        constants are stretched with it, so that one step of that reader is one step of
        the network. By default the network's own. (Keyword only.)
    - `li`: what an `LI` becomes, since not all readers know `CubaLI`. `nir.CubaLI`; `nir.LI`,
        two of them in series, the first the synapse; or `nir.CubaLIF` with a
        threshold out of reach (1e30), whose membrane is the output. (Keyword only.)

    **Returns:**

    The graph, with `dt` in its metadata.

    **Raises:** `ValueError` for a layer that NIR has no node for.
    """
    kinds = (nir.CubaLI, nir.LI, nir.CubaLIF)
    if li not in kinds:
        raise ValueError(f"`li` must be one of {[k.__name__ for k in kinds]} of nir, got {li}.")
    layers = list(_unrolled(model))
    if shape is None:
        shape = _input_shape(layers)
    size: tuple[int, ...] = (shape,) if isinstance(shape, int) else shape
    own = next((layer.dt for layer in layers if isinstance(layer, AbstractTimed)), dt or 1e-3)
    dt = own if dt is None else positive_number("dt")(dt)
    graph = _Chain(size)
    for i, layer in enumerate(layers):
        if isinstance(layer, DirectEncoder) and i == 0:
            continue  # a held input
        to = _Target(size, own, dt, li)
        if isinstance(layer, Recurrent):
            _append_recurrent(graph, layer, to)
        else:
            for node in _nodes(layer, to):
                graph.append(node)
        x = jax.ShapeDtypeStruct(size, jnp.float32)
        size = eqx.filter_eval_shape(lambda m, x: m.step(m.init(x), x)[1], layer, x).shape
    return graph.closed(size, {"dt": dt})


class _Target(NamedTuple):
    """What a layer's nodes are written for."""

    shape: tuple[int, ...]  # of one step's input
    own: float  # the network's step
    dt: float  # the reader's
    li: type

    def full(self, value: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, float), self.shape).astype(np.float32)

    def time(self, tau: Any) -> np.ndarray:
        return self.full(np.asarray(tau, float) * (self.dt / self.own))


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


def _append_recurrent(graph: _Chain, layer: Recurrent, to: _Target) -> None:
    """A cycle of neuron and lateral map, named as snnTorch and spyx look for it."""
    if not isinstance(layer.layer, LIF | ParametricLIF) or not isinstance(
        layer.linear, eqx.nn.Linear
    ):
        raise ValueError(
            "`Recurrent` has NIR nodes for a `LIF` or `ParametricLIF` and an `eqx.nn.Linear`, "
            f"got `{type(layer.layer).__name__}` and `{type(layer.linear).__name__}`."
        )
    [neuron] = _nodes(layer.layer, to)
    [lateral] = _stateless(layer.linear, to)
    name = graph.name("recurrent")
    graph.append(neuron, f"{name}.lif")
    graph.nodes[f"{name}.w_rec"] = lateral
    graph.edges += [(f"{name}.lif", f"{name}.w_rec"), (f"{name}.w_rec", f"{name}.lif")]


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
        if isinstance(layer, OverTime):
            break
    raise ValueError(
        "`shape`, of one step's input, must be given: no `eqx.nn.Linear` comes before a layer "
        "that changes it."
    )


@ft.singledispatch
def _nodes(layer: Any, to: _Target) -> list[nir.NIRNode]:
    """The nodes of one layer, in series."""
    name = f"`{type(layer).__name__}`"
    if isinstance(layer, AbstractDecoder):
        hint = "export the network before it, `network[:-1]`, and reduce the reader's output."
    elif isinstance(layer, AbstractEncoder):
        hint = (
            "record its spikes, `spikes = encoder(x)` (with a `key` if it draws), hand them "
            "over by `to_nir_data`, and export the network behind it, `network[1:]`."
        )
    else:
        hint = "see the table in `jaxsnn_eqx.nir` for what has."
    raise ValueError(f"{name} has no NIR node: {hint}")


@_nodes.register(LIFCurrentEncoder)
@_nodes.register(ConstantCurrentLIFEncoder)
def _(layer, to: _Target) -> list[nir.NIRNode]:
    params = layer.params
    return [
        nir.LIF(
            tau=to.time(params.tau_mem),
            r=to.full(1),
            v_leak=to.full(params.v_leak),
            v_threshold=to.full(params.v_th),
            v_reset=to.full(params.v_reset),
        )
    ]


@_nodes.register
def _(layer: LIF, to: _Target) -> list[nir.NIRNode]:
    if layer.soft_reset or layer.refractory_steps:
        raise ValueError(
            "`LIF` with `soft_reset` or `refractory` has no NIR node: NIR's neurons are set to "
            "`v_reset` at a spike, and can fire in the next step."
        )
    return [_cuba_lif(layer.params, to)]


@_nodes.register
def _(layer: ParametricLIF, to: _Target) -> list[nir.NIRNode]:
    return [_cuba_lif(layer, to)]


def _cuba_lif(constants: LIFParameters | ParametricLIF, to: _Target) -> nir.NIRNode:
    tau_mem, tau_syn, v_th, v_leak, v_reset = (
        np.asarray(getattr(constants, name), float)
        for name in ("tau_mem", "tau_syn", "v_th", "v_leak", "v_reset")
    )
    r = tau_mem / to.own
    return nir.CubaLIF(
        tau_mem=to.time(tau_mem),
        tau_syn=to.time(tau_syn),
        r=to.full(r),
        w_in=to.full(tau_syn / to.own),
        v_leak=to.full(r * v_leak),
        v_threshold=to.full(r * v_th),
        v_reset=to.full(r * v_reset),
    )


@_nodes.register
def _(layer: LI, to: _Target) -> list[nir.NIRNode]:
    params = layer.params
    tau_mem, tau_syn = to.time(params.tau_mem), to.time(params.tau_syn)
    one, v_leak = to.full(1), to.full(params.v_leak)
    w_in = to.full(params.tau_syn / to.own)
    if to.li is nir.LI:
        return [nir.LI(tau_syn, w_in, to.full(0)), nir.LI(tau_mem, one, v_leak)]
    if to.li is nir.CubaLI:
        return [nir.CubaLI(tau_syn, tau_mem, one, v_leak, w_in)]
    return [
        nir.CubaLIF(
            tau_mem=tau_mem,
            tau_syn=tau_syn,
            r=to.full(params.tau_mem / to.own),  # snnTorch asks for it
            w_in=to.full(params.tau_syn / params.tau_mem),
            v_leak=v_leak,
            v_threshold=to.full(NEVER),
            v_reset=to.full(0),
        )
    ]


@_nodes.register
def _(layer: OverTime, to: _Target) -> list[nir.NIRNode]:
    return _stateless(layer.layer, to)


@ft.singledispatch
def _stateless(layer: Any, to: _Target) -> list[nir.NIRNode]:
    raise ValueError(
        f"`OverTime({type(layer).__name__})` has no NIR node: see the table in "
        "`jaxsnn_eqx.nir` for what has."
    )


@_stateless.register
def _(layer: eqx.nn.Linear, to: _Target) -> list[nir.NIRNode]:
    if to.shape != (layer.in_features,):
        raise ValueError(
            f"`eqx.nn.Linear` takes {layer.in_features} `in_features`, got an input of shape "
            f"{to.shape} at one step."
        )
    weight = np.asarray(layer.weight, np.float32)
    if layer.bias is None:
        return [nir.Linear(weight)]
    return [nir.Affine(weight, np.asarray(layer.bias, np.float32))]


@_stateless.register(eqx.nn.Conv1d)
@_stateless.register(eqx.nn.Conv2d)
def _(layer, to: _Target) -> list[nir.NIRNode]:
    if layer.groups != 1 or layer.padding_mode != "ZEROS" or len({*layer.kernel_size}) > 1:
        raise ValueError(
            f"`{type(layer).__name__}` must have `groups=1`, a square `kernel_size` and "
            "`padding_mode='ZEROS'`, since the shapes that nir works out are wrong for others; "
            f"got {layer.groups}, {layer.kernel_size} and {layer.padding_mode!r}."
        )
    sizes = zip(to.shape[1:], layer.kernel_size, layer.stride, layer.dilation, strict=True)
    pads = layer.padding
    if isinstance(pads, str):  # NIR's own words for it differ between readers
        pads = jax.lax.padtype_to_pads(
            to.shape[1:], [d * (k - 1) + 1 for _, k, _, d in sizes], layer.stride, pads
        )
    if any(low != high for low, high in pads):
        raise ValueError(
            f"`padding` must be the same on both sides for NIR, got {tuple(pads)} for an input "
            f"of shape {to.shape} at one step."
        )
    out_channels = layer.weight.shape[0]
    bias = np.zeros(out_channels) if layer.bias is None else np.asarray(layer.bias).ravel()
    weight, bias = np.asarray(layer.weight, np.float32), bias.astype(np.float32)
    padding: Any = tuple(int(low) for low, _ in pads)
    if isinstance(layer, eqx.nn.Conv1d):
        [size], [stride], [pad], [dilation] = (
            to.shape[1:],
            layer.stride,
            padding,
            layer.dilation,
        )
        return [nir.Conv1d(size, weight, stride, pad, dilation, 1, bias)]
    height, width = to.shape[1:]
    return [nir.Conv2d((height, width), weight, layer.stride, padding, layer.dilation, 1, bias)]


@_stateless.register
def _(layer: eqx.nn.Lambda, to: _Target) -> list[nir.NIRNode]:
    if layer.fn is not jnp.ravel:
        raise ValueError(
            f"`eqx.nn.Lambda({layer.fn})` has no NIR node; `eqx.nn.Lambda(jnp.ravel)` has."
        )
    return [nir.Flatten({"input": np.array(to.shape, int)}, start_dim=0, end_dim=-1)]


@_stateless.register
def _(layer: Scale, to: _Target) -> list[nir.NIRNode]:
    return [nir.Scale(to.full(layer.scale))]


@_stateless.register
def _(layer: eqx.nn.Identity, to: _Target) -> list[nir.NIRNode]:
    return []


@_stateless.register
def _(layer: eqx.nn.Dropout, to: _Target) -> list[nir.NIRNode]:
    if not layer.inference:
        raise ValueError(
            "`OverTime(Dropout)` has no NIR node: export `eqx.nn.inference_mode(network)`."
        )
    return []


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
    neuron that differs within its layer becomes a `ParametricLIF`. Neurons with a
    threshold of 1e30 or more become `LI`. In NIR a convolution always has a bias: one of zeros
    is none here.

    **Arguments:**

    - `graph`: the graph.
    - `dt`: length of a step, in seconds; a graph's weights belong to it. By default the one in
        the graph's metadata, where `to_nir` puts it, or else 1e-3. For a graph of
        snnTorch: 1e-4. (Keyword only.)
    - `seq_length`: if given, the network takes values without a time axis, each held as
        input for so many steps: a first `nir.LIF` becomes a `ConstantCurrentLIFEncoder`, and
        before anything else a `DirectEncoder` is put. (Keyword only.)
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
    if not _same(_exact(node.tau), *potentials):
        raise source.refuse(
            "a `LIF` of NIR must be the same for all neurons of its layer; a `CubaLIF` may "
            "differ."
        )
    v_th, v_leak, v_reset = map(_value, potentials)
    tau_mem = _time(node.tau, source)
    params = LIFParameters(tau_mem=tau_mem, v_th=v_th, v_leak=v_leak, v_reset=v_reset)
    dt, surrogate = source.dt, source.surrogate
    if source.seq_length is None:
        return [LIFCurrentEncoder(params, dt, surrogate)]
    return [ConstantCurrentLIFEncoder(source.seq_length, params, dt, surrogate)]


@_layers.register
def _(node: nir.CubaLIF, source: _Source) -> list[AbstractLayer]:
    # a spike moves the current by 1, and the potential is counted in what that brings
    unit = _positive("r * w_in", _exact(node.r) * _jump(node, source), source)
    potentials = [_exact(v) / unit for v in (node.v_threshold, node.v_leak, node.v_reset)]
    v_th, v_leak, v_reset = potentials
    tau_mem, tau_syn = _exact(node.tau_mem), _exact(node.tau_syn)
    if not _same(v_leak, v_reset):
        raise source.refuse(
            "`v_leak` and `v_reset`, each over `r * w_in * dt / tau_syn`, must be the same for "
            "all neurons of the layer."
        )
    params = LIFParameters(
        _time(node.tau_syn, source),
        _time(node.tau_mem, source),
        *map(_value, potentials),
    )
    dt, surrogate = source.dt, source.surrogate
    if _same(v_th, tau_mem, tau_syn):
        return [LIF(params, dt, surrogate)]
    shape = np.shape(node.v_threshold)
    return [
        ParametricLIF(
            shape,
            params,
            dt,
            surrogate,
            tau_mem=tau_mem,
            tau_syn=tau_syn,
            v_th=v_th,
        )
    ]


@_layers.register
def _(node: nir.LI, source: _Source) -> list[AbstractLayer]:
    # a current that lasts for one step is the input itself
    tau_syn = np.full(np.shape(node.tau), source.dt)
    return _layers(nir.CubaLI(tau_syn, node.tau, node.r, node.v_leak), source)


@_layers.register
def _(node: nir.CubaLI, source: _Source) -> list[AbstractLayer]:
    if not _same(*map(_exact, (node.tau_syn, node.tau_mem, node.v_leak))):
        raise source.refuse(
            "a leaky integrator must have the same time constants and `v_leak` for all neurons "
            "of its layer."
        )
    params = LIFParameters(
        _time(node.tau_syn, source),
        _time(node.tau_mem, source),
        v_leak=_value(_exact(node.v_leak)),
    )
    gain = _exact(node.r) * _jump(node, source)
    if np.allclose(gain, 1, rtol=1e-6):
        return [LI(params, source.dt)]
    gain = np.asarray(_value(gain)) if _same(gain) else gain
    return [OverTime(Scale(_weights(gain))), LI(params, source.dt)]


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
    if not isinstance(neuron, LIF | ParametricLIF):
        raise source.refuse(
            "lateral connections need neurons with a synapse and a threshold (`CubaLIF`)."
        )
    bias = lateral.bias if isinstance(lateral, nir.Affine) else None
    return [Recurrent(neuron, _linear(lateral.weight, bias, source))]


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
    `(samples, time, neurons)`: boolean if all spikes are 0 or 1, else float32.
    """
    data = np.asarray(as_floating(spikes), np.float32)
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
    grid = np.zeros((len(events.idx), steps, events.n_neurons), np.float32)
    sample, event = np.nonzero(events.idx != -1)
    neuron, time = events.idx[sample, event], events.time[sample, event]
    step = np.floor(time / dt + 1e-6)
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
