"""Networks to NIR graphs."""

import functools as ft
from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._decode import AbstractDecoder
from .._encoder.direct import DirectEncoder
from .._encoder.lif import ConstantCurrentLIFEncoder, LIFCurrentEncoder
from .._layer import AbstractEncoder, AbstractLayer, time_steps
from .._network import Network
from .._neuron.li import LI
from .._neuron.lif import LIF
from .._neuron.recurrent import Recurrent
from .._neuron.synapse import Synapse
from .._over_time import OverTime
from .._parameters import AnyLIFParameters
from .._types import checked, positive_number
from ._common import NEVER, Scale, nir


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

    A `Synapse` of a `LIF` becomes a `CubaLIF` with `r = tau_mem / dt`, `w_in = tau_syn / dt`
    and all potentials multiplied by `tau_mem / dt`: the same spikes, also in readers that take
    no notice of `r` and `w_in` (spyx), and in those that ask for this `r` (snnTorch). The
    potentials of all other nodes are the layers' own. Arrays are float32.

    **Arguments:**

    - `model`: a `Network` or another layer, as in the table of this module; networks in
        networks are unrolled.
    - `shape`: the shape of one step's input, without time and batch. By default that of the
        first layer's `eqx.nn.Linear`; needed where none tells it.
    - `dt`: the step of a reader that knows one only (1e-4 for snnTorch), in seconds. All time
        constants are stretched with it, so that one step of that reader is one step of
        the network. By default the network's own. (Keyword only.)
    - `li`: what an `LI` becomes, since not all readers know `CubaLI`. `nir.CubaLI` (without a
        synapse, one whose current lasts for a step); `nir.LI`, behind a synapse two of them in
        series, the first the synapse; or `nir.CubaLIF` with a threshold out of reach (1e30),
        whose membrane is the output. (Keyword only.)

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
    own = next(iter(time_steps(layers).values()), dt or 1e-3)
    dt = own if dt is None else positive_number("dt")(dt)
    graph = _Chain(size)
    for i, layer in enumerate(layers):
        if isinstance(layer, DirectEncoder) and i == 0:
            continue  # a constant input
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
    neuron = layer.layer.neuron if isinstance(layer.layer, Synapse) else None
    if not isinstance(neuron, LIF) or not isinstance(layer.linear, eqx.nn.Linear):
        raise ValueError(
            "`Recurrent` has NIR nodes for a `Synapse` of a `LIF` and an `eqx.nn.Linear`, "
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
    return [_lif(layer.params, to)]


def _lif(params: AnyLIFParameters, to: _Target) -> nir.NIRNode:
    return nir.LIF(
        tau=to.time(params.tau_mem),
        r=to.full(1),
        v_leak=to.full(params.v_leak),
        v_threshold=to.full(params.v_th),
        v_reset=to.full(params.v_reset),
    )


@_nodes.register
def _(layer: LIF, to: _Target) -> list[nir.NIRNode]:
    _check_reset(layer)
    return [_lif(layer.params, to)]


def _check_reset(layer: LIF) -> None:
    if layer.soft_reset or layer.refractory:
        raise ValueError(
            "`LIF` with `soft_reset` or `refractory` has no NIR node: NIR's neurons are set to "
            "`v_reset` at a spike, and can fire in the next step."
        )


@_nodes.register
def _(layer: Synapse, to: _Target) -> list[nir.NIRNode]:
    neuron = layer.neuron
    if isinstance(neuron, LI):
        return _cuba_li(neuron.params, layer.tau_syn, to)
    if not isinstance(neuron, LIF):
        raise ValueError(f"`Synapse({type(neuron).__name__})` has no NIR node.")
    _check_reset(neuron)
    return [_cuba_lif(neuron.params, layer.tau_syn, to)]


def _cuba_lif(params: AnyLIFParameters, tau_syn: Any, to: _Target) -> nir.NIRNode:
    tau_mem, v_th, v_leak, v_reset = (
        np.asarray(getattr(params, name), float)
        for name in ("tau_mem", "v_th", "v_leak", "v_reset")
    )
    tau_syn = np.asarray(tau_syn, float)
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
    if to.li is nir.LI:
        return [nir.LI(to.time(params.tau_mem), to.full(1), to.full(params.v_leak))]
    # a current that lasts for one step is the input itself
    return _cuba_li(params, to.own, to)


def _cuba_li(params: AnyLIFParameters, tau_syn_: Any, to: _Target) -> list[nir.NIRNode]:
    tau_mem, tau_syn = to.time(params.tau_mem), to.time(tau_syn_)
    one, v_leak = to.full(1), to.full(params.v_leak)
    w_in = to.full(tau_syn_ / to.own)
    if to.li is nir.LI:
        return [nir.LI(tau_syn, w_in, to.full(0)), nir.LI(tau_mem, one, v_leak)]
    if to.li is nir.CubaLI:
        return [nir.CubaLI(tau_syn, tau_mem, one, v_leak, w_in)]
    return [
        nir.CubaLIF(
            tau_mem=tau_mem,
            tau_syn=tau_syn,
            r=to.full(params.tau_mem / to.own),  # snnTorch asks for it
            w_in=to.full(tau_syn_ / params.tau_mem),
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
