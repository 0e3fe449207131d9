"""NIR graphs to networks."""

import functools as ft
import warnings
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array

from .._encoder.direct import DirectEncoder
from .._encoder.scale import Scale
from .._layer import AbstractLayer
from .._network import Network
from .._neuron.delay import Delay
from .._neuron.recurrent import Recurrent
from .._over_time import OverTime
from .._surrogate import AbstractSurrogate, SuperSpike
from .._types import checked
from ._common import FIRING, NEURONS, Flatten, Threshold, exact, nir
from ._graph import chain
from ._read_neurons import Reading, neuron, neuron_layers
from ._step import caveats, step_of


@checked
def from_nir(
    graph: nir.NIRGraph,
    *,
    dt: float | None = None,
    soft_reset: bool | Mapping[str, bool] | None = None,
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

    A node's constants are kept as they are. Neurons that differ within their layer get
    `LearnableLIFParameters`. Neurons with a threshold of 1e30 or more become `LI`. In NIR a
    convolution always has a bias: one of zeros is none here.

    **Arguments:**

    - `graph`: the graph.
    - `dt`: length of a step, in seconds; a graph's weights belong to it. By default the one in
        the metadata of the graph or its subgraphs, where `to_nir` puts it. Else, if
        `tau / r` and `tau_syn / w_in` are the same for all neurons, that, since snnTorch
        writes such graphs; else 1e-3. (Keyword only.)
    - `soft_reset`: whether a spike subtracts `v_th − v_reset` or sets the potential to
        `v_reset`; for all neurons, or by the names of nodes. NIR has no field for it. By
        default what the node's metadata says, where `to_nir` puts it, or else `False`.
        (Keyword only.)
    - `seq_length`: if given, the network takes values without a time axis, each the
        constant input of so many steps: a first `nir.LIF` becomes a
        `ConstantCurrentLIFEncoder`, and before anything else a `DirectEncoder` is put.
        (Keyword only.)
    - `surrogate`: of all neurons, as NIR has none. (Keyword only.)

    **Returns:**

    The `Network`.

    **Raises:** `ValueError`, which names the node, for one that no layer stands for, a graph
    that is not a chain, time constants below `dt`, or constants that are not finite or out of
    range. **Warns** of what it assumes: a `dt` that the metadata does not have, and the reset
    of neurons whose `v_reset` is 0, unless the metadata or the call says which: 0 is written
    for both kinds of reset. It warns too of constants that look like those of spyx (`r` is the
    decay) and sinabs (time constants in steps), and says what to set.

    Norse's `to_nir` multiplies all time constants by its argument `dt`: call it with `dt=1`. It
    leaves out the `w_in` of an `LIFCell`: set that of the node to `tau_syn / dt`.
    """
    nodes, laterals, _ = parts = chain(graph)
    dt, assumed = step_of(parts, dt)
    soft, unsaid = _resets(nodes, soft_reset)
    if assumed or unsaid:
        reset = f"`soft_reset=False` at nodes {unsaid}, whose `v_reset` is 0" if unsaid else ""
        asked = " and ".join(["`dt=`"] * bool(assumed) + ["`soft_reset=`"] * bool(unsaid))
        warnings.warn(
            f"`from_nir` assumes {'; '.join(filter(None, [assumed, reset]))}. Pass {asked} to "
            "say what holds.",
            stacklevel=4,  # past the checks of shapes
        )
    for caveat in caveats(nodes, dt):
        warnings.warn(caveat, stacklevel=4)
    layers: list[AbstractLayer] = []
    for i, (name, node) in enumerate(nodes):
        encodes = i == 0 and isinstance(node, NEURONS) and name not in laterals
        reading = Reading(dt, surrogate, soft.get(name, False), seq_length if encodes else None)
        try:
            if name in laterals:
                made = [Recurrent(neuron(node, reading), _linear(laterals[name]))]
            else:
                made = _layers(node, reading)
        except ValueError as error:
            raise ValueError(f"node {name!r}: {error}") from error
        if i == 0 and seq_length is not None and not encodes:
            layers.append(DirectEncoder(seq_length))
        layers += made
    return Network(layers)


def _resets(
    nodes: list[tuple[str, Any]], said: bool | Mapping[str, bool] | None
) -> tuple[dict[str, bool], list[str]]:
    """Whether each neuron has a soft reset, and the nodes for which that is not known."""
    firing = {name: node for name, node in nodes if isinstance(node, FIRING)}
    by_name = said if isinstance(said, Mapping) else {}
    if unknown := [name for name in by_name if name not in firing]:
        raise ValueError(
            f"`soft_reset` must name nodes that fire, {list(firing)}, got {unknown}."
        )
    soft, unsaid = {}, []
    for name, node in firing.items():
        if isinstance(said, bool):
            soft[name] = said
        elif name in by_name:
            soft[name] = by_name[name]
        else:
            soft[name] = bool(node.metadata.get("soft_reset", False))
            if "soft_reset" not in node.metadata and not np.any(node.v_reset):
                unsaid.append(name)
    return soft, unsaid


@ft.singledispatch
def _layers(node: Any, reading: Reading) -> list[AbstractLayer]:
    """The layers of one node, in series."""
    if isinstance(node, NEURONS):
        return neuron_layers(node, reading)
    raise ValueError(f"no layer stands for a `{type(node).__name__}` of NIR.")


@_layers.register(nir.Linear)
@_layers.register(nir.Affine)
def _(node, reading: Reading) -> list[AbstractLayer]:
    return [OverTime(_linear(node))]


def _linear(node: nir.Linear | nir.Affine) -> eqx.nn.Linear:
    weight = node.weight
    if np.ndim(weight) != 2:
        raise ValueError(f"`weight` must be a matrix, got shape {np.shape(weight)}.")
    out_features, in_features = weight.shape
    bias = isinstance(node, nir.Affine)
    linear = eqx.nn.Linear(in_features, out_features, bias, key=jr.key(0))
    linear = eqx.tree_at(lambda m: m.weight, linear, _weights(weight))
    return eqx.tree_at(lambda m: m.bias, linear, _weights(node.bias)) if bias else linear


def _weights(array: Any) -> Array:
    return jnp.asarray(array, jnp.result_type(float))


@_layers.register(nir.Conv1d)
@_layers.register(nir.Conv2d)
def _(node, reading: Reading) -> list[AbstractLayer]:
    weight, bias = np.asarray(node.weight), np.asarray(node.bias)
    axes = weight.ndim - 2
    make = eqx.nn.Conv1d if axes == 1 else eqx.nn.Conv2d
    pads = node.padding
    conv = make(
        weight.shape[1] * int(node.groups),
        weight.shape[0],
        weight.shape[2:],
        _each(node.stride, axes),
        pads.upper() if isinstance(pads, str) else tuple((p, p) for p in _each(pads, axes)),
        _each(node.dilation, axes),
        int(node.groups),
        use_bias=bool(bias.any()),
        key=jr.key(0),
    )
    conv = eqx.tree_at(lambda m: m.weight, conv, _weights(weight))
    if bias.any():
        bias = bias.reshape(-1, *[1] * axes)
        conv = eqx.tree_at(lambda m: m.bias, conv, _weights(bias))
    return [OverTime(conv)]


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return tuple(int(v) for v in np.broadcast_to(np.asarray(value), (axes,)))


@_layers.register
def _(node: nir.SumPool2d, reading: Reading) -> list[AbstractLayer]:
    kernel, stride, padding = _windows(node)
    return [OverTime(eqx.nn.Pool(0, lax.add, 2, kernel, stride, padding))]


@_layers.register
def _(node: nir.AvgPool2d, reading: Reading) -> list[AbstractLayer]:
    kernel, stride, padding = _windows(node)
    return [OverTime(eqx.nn.AvgPool2d(kernel, stride, padding))]


def _windows(node: nir.SumPool2d | nir.AvgPool2d) -> tuple[tuple[int, ...], ...]:
    return _each(node.kernel_size, 2), _each(node.stride, 2), _each(node.padding, 2)


@_layers.register
def _(node: nir.Flatten, reading: Reading) -> list[AbstractLayer]:
    start, end = int(node.start_dim), int(node.end_dim)
    if (start, end) == (0, -1):
        return [OverTime(eqx.nn.Lambda(jnp.ravel))]
    return [OverTime(Flatten(start, end))]


@_layers.register
def _(node: nir.Scale, reading: Reading) -> list[AbstractLayer]:
    return [OverTime(Scale(_weights(node.scale)))]


@_layers.register
def _(node: nir.Threshold, reading: Reading) -> list[AbstractLayer]:
    return [OverTime(Threshold(_weights(node.threshold), reading.surrogate))]


@_layers.register
def _(node: nir.Delay, reading: Reading) -> list[AbstractLayer]:
    delay = exact(node.delay)
    same = delay.size > 0 and (delay == delay.ravel()[0]).all()
    return [Delay(float(delay.ravel()[0]) if same else delay, reading.dt)]
