"""Networks whose layers each spend a given number of spikes on data."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array

from ._bisect import Options, bisect, check_reached
from ._calibrate_encoder import calibrate_encoder
from ._layer import AbstractLayer
from ._network import Network
from ._over_time import WITH_WEIGHTS, OverTime
from ._types import positive_number
from ._walk import Path, encodes, fires, folded, has_fixed_count, layers_of, place, run_all


def calibrate_network(
    network: Network,
    xs: Array,
    keys: Any,
    rate: Any,
    readout: float | None,
    options: Options,
) -> Network:
    """The network with each layer at its rate, and the outputs at the deviation `readout`."""
    layers = dict(layers_of(network))
    rates = _rate_of_each(layers, rate)
    segment: list[Path] = []  # the last layer of weights, and those behind it
    entry = xs  # its input
    for i, (path, layer) in enumerate(layers.items()):
        # a layer that is both stands for neurons behind weights, else for an encoder
        behind_weights = bool(segment) and _weights(layers[segment[0]]) is not None
        encoding = encodes(layer) and not (fires(layer) and behind_weights)
        if encoding and path in rates:
            drawn = folded(keys, i)
            layers[path] = calibrate_encoder(layer, xs, drawn, rates[path], options)
        if _weights(layer) is not None:
            segment, entry = [], xs
        segment.append(path)
        if fires(layer) and not encoding and path in rates:
            parts = tuple(layers[p] for p in segment)
            name = place(path, layer)
            drawn = folded(keys, i)
            layers[segment[0]], xs = _at_rate(name, parts, entry, drawn, rates[path], options)
        else:
            xs = run_all((layers[path],), xs, folded(keys, i))
        if fires(layer) or encodes(layer):
            segment, entry = [], xs
    parts = tuple(layers[p] for p in segment)
    if readout is not None and parts and _weights(parts[0]) is not None:
        layers[segment[0]] = _at_deviation(parts, entry, folded(keys, 0), readout)
    return eqx.tree_at(
        lambda network: [_layer_at(network, path) for path in layers],
        network,
        list(layers.values()),
    )


def _layer_at(network: Any, path: Path) -> Any:
    for i in path:
        network = network.layers[i]
    return network


def _rate_of_each(layers: dict[Path, AbstractLayer], rate: Any) -> dict[Path, float]:
    """The rate of each layer that is calibrated."""
    spiking = {path: layer for path, layer in layers.items() if encodes(layer) or fires(layer)}
    if not isinstance(rate, list | tuple):
        rate = positive_number("rate")(rate)
        return {p: rate for p, layer in spiking.items() if not has_fixed_count(layer)}
    if len(rate) != len(spiking):
        names = ", ".join(place(*item) for item in spiking.items()) or "none"
        raise ValueError(
            f"`rate` must be a number, or a list with one for each layer that spikes "
            f"({names}), got {len(rate)}."
        )
    to_rate = positive_number("rate")
    return {p: to_rate(r) for p, r in zip(spiking, rate, strict=True) if r is not None}


def _weights(layer: AbstractLayer) -> Callable[[Any], Any] | None:
    """Where the linear map of a layer is, if it has one; of several the last."""
    if not isinstance(layer, OverTime):
        return None
    if isinstance(layer.layer, WITH_WEIGHTS):
        return lambda over_time: over_time.layer
    if isinstance(layer.layer, eqx.nn.Sequential):
        parts = layer.layer.layers
        found = [i for i, part in enumerate(parts) if isinstance(part, WITH_WEIGHTS)]
        if found:
            return lambda over_time: over_time.layer.layers[found[-1]]
    return None


def _with_gain(layers: tuple[AbstractLayer, ...], gain: Array) -> tuple[AbstractLayer, ...]:
    """The layers with the weights of the first times `gain`.

    A bias becomes smaller with the weights, so that a small gain silences any neuron, and never
    larger, so that with a large one it does not make neurons fire without input.
    """
    where = _weights(layers[0])
    assert where is not None

    def scaled(linear: Any) -> Any:
        weight = linear.weight * gain.astype(linear.weight.dtype)
        if linear.bias is None:
            return eqx.tree_at(lambda m: m.weight, linear, weight)
        bias = linear.bias * jnp.minimum(gain, 1).astype(linear.bias.dtype)
        return eqx.tree_at(lambda m: (m.weight, m.bias), linear, (weight, bias))

    return eqx.tree_at(where, layers[0], replace_fn=scaled), *layers[1:]


def _at_rate(
    name: str,
    layers: tuple[AbstractLayer, ...],
    xs: Array,
    keys: Any,
    rate: float,
    options: Options,
) -> tuple[AbstractLayer, Array]:
    """The layer of weights at which the neurons, the last, have the rate; and their spikes."""
    if not layers or _weights(layers[0]) is None:
        raise ValueError(
            f"`rate` must be None for layer {name}, which has no weights in front of it, "
            "`OverTime` of a `Linear` or a convolution, to scale."
        )
    dt = layers[-1].dt  # pyright: ignore[reportAttributeAccessIssue]
    gain, less, more = _search_gain(layers, xs, keys, jnp.asarray(rate * dt), _fired)
    found = _with_gain(layers, gain)
    spikes = run_all(found, xs, keys)
    check_reached(f"layer {name}", rate, _fired(spikes) / dt, less / dt, more / dt, options)
    return found[0], spikes


def _at_deviation(
    layers: tuple[AbstractLayer, ...], xs: Array, keys: Any, readout: float
) -> AbstractLayer:
    """The layer of weights with the gain at which the outputs have a standard deviation."""
    target = jnp.asarray(readout)
    gain = _search_gain(layers, xs, keys, target, jnp.std)[0]
    found = _with_gain(layers, gain)
    got = jnp.std(run_all(found, xs, keys))
    if not isinstance(got, Tracer) and not 0.9 * readout <= float(got) <= 1.1 * readout:
        raise ValueError(
            f"`readout`={readout:g} is not reached: the outputs have the standard deviation "
            f"{float(got):g}, at the nearest. Do the layers before it spike?"
        )
    return found[0]


def _fired(spikes: Array) -> Array:
    return jnp.mean(spikes != 0, dtype=jnp.float32)


@eqx.filter_jit
def _search_gain(
    layers: tuple[AbstractLayer, ...], xs: Array, keys: Any, target: Array, measure: Callable
):
    def measured(gain: Array) -> Array:
        return measure(run_all(_with_gain(layers, gain), xs, keys))

    low, high = jnp.asarray(1e-4), jnp.asarray(1e6)
    return bisect(measured, target, low, high, jnp.asarray(True), rising=True)
