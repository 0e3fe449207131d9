"""Encoders and networks that spend a given number of spikes on data."""

from collections.abc import Callable, Sequence
from typing import Any, overload

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.core import Tracer
from jaxtyping import Array, PRNGKeyArray

from ._bisect import Options, bisect, check_reached, run_on
from ._calibrate_encoder import calibrate_encoder, has_fixed_count, split_scale
from ._layer import AbstractEncoder, AbstractLayer
from ._network import Network
from ._neuron.base import AbstractNeuron
from ._neuron.recurrent import Recurrent
from ._neuron.synapse import Synapse
from ._over_time import OverTime
from ._types import AnyInput, as_floating, checked, flag, positive_number, real_number


@overload
def calibrate(
    layer: Network,
    data: AnyInput,
    *,
    rate: float | Sequence[float | None],
    readout: float | None = 1.0,
    dt: float | None = None,
    per_feature: bool = False,
    floor: float = 0.0,
    trained: bool = False,
    tolerance: float = 0.05,
    key: PRNGKeyArray | None = None,
) -> Network: ...


@overload
def calibrate(
    layer: AbstractEncoder,
    data: AnyInput,
    *,
    rate: float,
    readout: float | None = 1.0,
    dt: float | None = None,
    per_feature: bool = False,
    floor: float = 0.0,
    trained: bool = False,
    tolerance: float = 0.05,
    key: PRNGKeyArray | None = None,
) -> Any: ...


@checked
def calibrate(
    layer: AbstractLayer,
    data: AnyInput,
    *,
    rate: Any,
    readout: float | None = 1.0,
    dt: float | None = None,
    per_feature: bool = False,
    floor: float = 0.0,
    trained: bool = False,
    tolerance: float = 0.05,
    key: PRNGKeyArray | None = None,
) -> Any:
    r"""Sets the scale of an encoder, or of each layer of a network, so that it spends `rate`.

    The rate is the mean over samples, steps and outputs, in hertz; signed and graded spikes
    count as 1. Use training data: a few hundred samples are enough.

    ```python
    >>> import equinox as eqx, jax
    >>> import jaxsnn_eqx as snn
    >>> k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
    >>> images = jax.random.uniform(k1, (50, 64))
    >>> encoder = snn.calibrate(snn.ConstantCurrentLIFEncoder(100), images, rate=50.0)
    >>> spikes = jax.vmap(encoder)(images)
    >>> round(float(spikes.mean() / 1e-3), 1)
    50.0
    >>> model = snn.Network([
    ...     snn.ConstantCurrentLIFEncoder(100),
    ...     snn.OverTime(eqx.nn.Linear(64, 256, key=k2)),
    ...     snn.LIF(),
    ...     snn.OverTime(eqx.nn.Linear(256, 10, key=k3)),
    ...     snn.LI(),
    ...     snn.MeanOverTime(),
    ... ])
    >>> model = snn.calibrate(model, images, rate=[50.0, 20.0])
    >>> round(float(jax.vmap(model[:3])(images).mean() / 1e-3), 1)
    20.0

    ```

    **An encoder** is returned with another number in the field that sets its rate:

    - the changes of `DeltaEncoder`, `StepForwardEncoder`, `MovingWindowEncoder` and
        `SigmaDeltaEncoder`: `threshold`; `ThresholdEncoder`: `factor`.
    - `LevelCrossingEncoder`: the distance of the `levels`, whose mean moves to the median of
        the data.
    - `BensSpikerEncoder`: the sum of `filter`, with `threshold` in proportion.
    - `PoissonEncoder`, `RegularRateEncoder`: `max_rate`.
    - `LearnableLIFEncoder`: `gain`, and `bias` if data are negative.
    - `LatencyEncoder`: `threshold`; `TimeToFirstSpikeEncoder`: `tau`. With one spike a value,
        this sets the share of silent values.
    - `SpatioTemporalEncoder`, `RankOrderEncoder`: the window, `seq_length`.
    - `PulseWidthEncoder`: `period`; `low` and `high` become the range of the data.
    - all others, such as `ConstantCurrentLIFEncoder`, `LIFCurrentEncoder`,
        `LIFLatencyEncoder` and `BurstEncoder`: a `Scale` in front, which also moves negative
        data to 0 and above.
    - `PhaseEncoder` and `DirectEncoder` are refused.

    A fixed number stays fixed, and an array stays trained. A `Scale` is put in front by
    `Preprocessed`, or for signals by `OverTime` in a `Network`. Encoders that clip to [0, 1]
    get one too, if the data are not within [0, 1].

    **A network** is returned with its encoder calibrated (for one `rate`, only if the encoder's
    number of spikes depends on a scale), and with the weights in front of each layer of
    neurons (of the last `Linear` or convolution before it) times a number. Biases become
    smaller with the weights, and never larger; lateral weights stay. The weights of the readout
    are multiplied too, so that the outputs have the standard deviation `readout`. Larger
    weights need a larger learning rate, in proportion: a few percent of the spread of the
    weights, which `summary` shows, for Adam.

    **Arguments:**

    - `layer`: an encoder, or a `Network`.
    - `data`: values of shape `"samples *shape"`, or signals of shape `"samples time *shape"`.
    - `rate`: in hertz, per output. Positive. For a network also a list with one for each layer
        that spikes, the encoder included; `None` leaves a layer as it is. (Keyword only.)
    - `readout`: the standard deviation of a network's outputs over samples and outputs; `None`
        leaves the readout as it is. (Keyword only.)
    - `dt`: length of a step in seconds, for encoders without a `dt`; by default 1 ms. (Keyword
        only.)
    - `per_feature`: whether each feature of an encoder gets its own scale, so that each spends
        `rate`, and not all alike. (Keyword only.)
    - `floor`: with `per_feature`, a feature whose range is at most this, in units of the data,
        is dead: it stays silent, and its noise is not encoded. By default constant features
        are. (Keyword only.)
    - `trained`: whether a `Scale` is trained. (Keyword only.)
    - `tolerance`: the largest relative deviation from `rate`. (Keyword only.)
    - `key`: for layers that draw random numbers. (Keyword only.)

    **Returns:**

    The calibrated layer. Inside `jax.jit` its numbers are arrays, and so trained, and a rate
    that is not reached is not refused. **Derivative:** none.

    **Raises:** `ValueError` for an encoder that cannot be calibrated, for data that are
    constant or not finite, and for a rate that is not reached within `tolerance`, with the
    rates that can be.

    Source: the search is a bisection. For networks, layer by layer: Mishkin & Matas, "All you
    need is a good init", ICLR (2016), with the rates that Rossbroich, Gygax & Zenke,
    Neuromorphic Computing and Engineering 2 (2022), aim at by fluctuations.
    """
    options = Options(
        None if dt is None else positive_number("dt")(dt),
        flag("per_feature")(per_feature),
        real_number("floor")(floor),
        flag("trained")(trained),
        positive_number("tolerance")(tolerance),
    )
    if options.floor < 0 or (options.floor > 0 and not per_feature):
        raise ValueError(
            "`floor` must be at least 0, and 0 without `per_feature`, got "
            f"{options.floor} and per_feature={per_feature}."
        )
    xs = _as_data(layer, data)
    keys = None if key is None else jr.split(key, len(xs))
    if isinstance(layer, Network) and split_scale(layer)[0] is None:
        readout = None if readout is None else positive_number("readout")(readout)
        return _calibrate_network(layer, xs, keys, rate, readout, options)
    if not isinstance(split_scale(layer)[1], AbstractEncoder):
        raise ValueError(
            f"`layer` must be an encoder or a `Network`, got `{type(layer).__name__}`."
        )
    return calibrate_encoder(layer, xs, keys, positive_number("rate")(rate), options)


def _as_data(layer: AbstractLayer, data: AnyInput) -> Array:
    xs = as_floating(data)
    axes = "samples *shape" if layer.seq_length is not None else "samples time *shape"
    if xs.ndim < len(axes.split()) - 1 or 0 in xs.shape:
        raise ValueError(f'`data` must be of shape "{axes}", got {xs.shape}.')
    if not isinstance(xs, Tracer) and not bool(jnp.isfinite(xs).all()):
        raise ValueError("`data` must be finite, got NaN or infinity.")
    return xs


Path = tuple[int, ...]

_WEIGHTED = (eqx.nn.Linear, eqx.nn.Conv, eqx.nn.ConvTranspose)


def layers_of(network: Network) -> list[tuple[Path, AbstractLayer]]:
    """The layers in the order in which they run, with the indices of each.

    Those of networks within it, in place of these; but an encoder with a `Scale` is one layer.
    """
    found = []
    for i, layer in enumerate(network):
        if isinstance(layer, Network) and split_scale(layer)[0] is None:
            found += [((i, *path), inner) for path, inner in layers_of(layer)]
        else:
            found.append(((i,), layer))
    return found


def encodes(layer: AbstractLayer) -> bool:
    """Whether the layer is an encoder, with or without a `Scale` in front."""
    return isinstance(split_scale(layer)[1], AbstractEncoder)


def fires(layer: AbstractLayer) -> bool:
    """Whether the layer is one of neurons that spike."""
    if isinstance(layer, Recurrent):
        return fires(layer.layer)
    if isinstance(layer, Synapse):
        return fires(layer.neuron)
    return isinstance(layer, AbstractNeuron) and hasattr(layer, "surrogate")


def place(path: Path, layer: AbstractLayer) -> str:
    """A layer's name in errors and tables."""
    inner = getattr(layer, "neuron", None) or getattr(layer, "layer", None)
    if encodes(layer):
        _, inner = split_scale(layer)
        inner = getattr(inner, "encoder", None if inner is layer else inner)
    name = type(layer).__name__ + (f"({type(inner).__name__})" if inner is not None else "")
    return " ".join(["".join(f"[{i}]" for i in path), name]).lstrip()


def _calibrate_network(
    network: Network,
    xs: Array,
    keys: Any,
    rate: Any,
    readout: float | None,
    options: Options,
) -> Network:
    layers = dict(layers_of(network))
    rates = _rate_of_each(layers, rate)
    segment: list[Path] = []  # the last layer of weights, and those behind it
    entry = xs  # its input
    for i, (path, layer) in enumerate(layers.items()):
        if encodes(layer) and path in rates:
            drawn = folded(keys, i)
            layers[path] = calibrate_encoder(layer, xs, drawn, rates[path], options)
        if _weights(layer) is not None:
            segment, entry = [], xs
        segment.append(path)
        if fires(layer) and path in rates:
            parts = tuple(layers[p] for p in segment)
            name = place(path, layer)
            scaled = _at_rate(name, parts, entry, folded(keys, i), rates[path], options)
            layers[segment[0]] = scaled[0]
            xs = run_all(scaled, entry, folded(keys, i))
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


def folded(keys: Any, i: int) -> Any:
    """A key for each sample and for layer `i`."""
    return None if keys is None else jax.vmap(lambda key: jr.fold_in(key, i))(keys)


@eqx.filter_jit
def run_all(layers: tuple[AbstractLayer, ...], xs: Array, keys: Any) -> Array:
    """Layers in sequence, on each of the samples."""
    for i, layer in enumerate(layers):
        xs = run_on(layer, xs, folded(keys, i))
    return xs


def _weights(layer: AbstractLayer) -> Callable[[Any], Any] | None:
    """Where the linear map of a layer is, if it has one; of several the last."""
    if not isinstance(layer, OverTime):
        return None
    if isinstance(layer.layer, _WEIGHTED):
        return lambda over_time: over_time.layer
    if isinstance(layer.layer, eqx.nn.Sequential):
        parts = layer.layer.layers
        found = [i for i, part in enumerate(parts) if isinstance(part, _WEIGHTED)]
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
) -> tuple[AbstractLayer, ...]:
    """The layers with the gain of the weights at which the neurons, the last, have the rate."""
    if not layers or _weights(layers[0]) is None:
        raise ValueError(
            f"`rate` must be None for layer {name}, which has no weights in front of it, "
            "`OverTime` of a `Linear` or a convolution, to scale."
        )
    dt = layers[-1].dt  # pyright: ignore[reportAttributeAccessIssue]
    gain, less, more = _search_gain(layers, xs, keys, jnp.asarray(rate * dt), _fired)
    found = _with_gain(layers, gain)
    reached = _fired(run_all(found, xs, keys)) / dt
    check_reached(f"layer {name}", rate, reached, less / dt, more / dt, options)
    return found


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
