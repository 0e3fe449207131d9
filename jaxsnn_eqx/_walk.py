"""The layers of a network, one after the other, on a batch of samples."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.core import Tracer
from jaxtyping import Array

from ._encoder.filter_bank import FilterBank
from ._encoder.preprocessed import Preprocessed
from ._encoder.scale import Scale
from ._layer import AbstractEncoder, AbstractLayer
from ._network import Network
from ._neuron.base import AbstractNeuron
from ._neuron.delay import Delay
from ._neuron.li import LI
from ._neuron.recurrent import Recurrent
from ._neuron.synapse import Synapse
from ._over_time import OverTime
from ._types import AnyInput, as_floating

Path = tuple[int, ...]

IN_FRONT = (OverTime, FilterBank, LI, Delay)
"""Layers that make another signal of a signal, before it is encoded."""


def as_samples(name: str, layer: AbstractLayer, xs: AnyInput) -> Array:
    """Converts a batch of inputs of `layer`, with the samples on axis 0."""
    xs = as_floating(xs)
    axes = "samples *shape" if layer.seq_length is not None else "samples time *shape"
    if xs.ndim < len(axes.split()) - 1 or 0 in xs.shape:
        raise ValueError(f'`{name}` must be of shape "{axes}", got {xs.shape}.')
    return xs


def as_finite_samples(name: str, layer: AbstractLayer, xs: AnyInput) -> Array:
    """As `as_samples`; refuses NaN and infinity."""
    xs = as_samples(name, layer, xs)
    if not isinstance(xs, Tracer) and not bool(jnp.isfinite(xs).all()):
        raise ValueError(f"`{name}` must be finite, got NaN or infinity.")
    return xs


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


def membrane(layer: Any) -> Any:
    """The neurons behind lateral connections and a synapse; another layer is itself."""
    if isinstance(layer, Recurrent):
        layer = layer.layer
    return layer.neuron if isinstance(layer, Synapse) else layer


def fires(layer: AbstractLayer) -> bool:
    """Whether the layer is one of neurons that spike."""
    neurons = membrane(layer)
    return isinstance(neurons, AbstractNeuron) and hasattr(neurons, "surrogate")


def place(path: Path, layer: AbstractLayer) -> str:
    """A layer's name in errors and tables."""
    inner = getattr(layer, "neuron", None) or getattr(layer, "layer", None)
    if encodes(layer):
        _, inner = split_scale(layer)
        inner = getattr(inner, "encoder", None if inner is layer else inner)
    name = type(layer).__name__ + (f"({type(inner).__name__})" if inner is not None else "")
    return " ".join(["".join(f"[{i}]" for i in path), name]).lstrip()


def split_scale(layer: AbstractLayer) -> tuple[Scale | None, AbstractLayer]:
    """The `Scale` that an earlier calibration put in front, if there is one, and the rest."""
    if isinstance(layer, Preprocessed) and isinstance(layer.fn, Scale):
        return layer.fn, layer.encoder
    if isinstance(layer, Network) and len(layer) == 2:
        first, second = layer
        scale = first.layer if isinstance(first, OverTime) else None
        if isinstance(scale, Scale) and isinstance(second, AbstractEncoder):
            return scale, second
    return None, layer


def behind_functions(layer: AbstractLayer) -> AbstractLayer:
    """The encoder behind a `Scale` or a function of its values; another layer is itself."""
    inner = split_scale(layer)[1]
    return behind_functions(inner.encoder) if isinstance(inner, Preprocessed) else inner


def steps_and_encoder(
    layer: AbstractLayer,
) -> tuple[tuple[AbstractLayer, ...], AbstractLayer]:
    """What stands in front of an encoder of signals, and the encoder."""
    if isinstance(layer, Network) and not encodes(layer):
        *front, last = layer
        if all(isinstance(step, IN_FRONT) for step in front):
            return tuple(front), last
    return (), layer


def has_fixed_count(layer: AbstractLayer) -> bool:
    """Whether it is an encoder whose number of spikes no scale changes."""
    inner = behind_functions(layer)
    fixed = AbstractEncoder.at_rate
    return isinstance(inner, AbstractEncoder) and type(inner).at_rate is not fixed


def over_data(fn: Callable, layer: AbstractLayer, xs: Array) -> Array:
    """A function of one sample's values, or of one step's, on all data."""
    return jax.vmap(fn)(xs) if layer.seq_length is not None else jax.vmap(jax.vmap(fn))(xs)


def encoder_and_input(layer: AbstractLayer, xs: Array) -> tuple[AbstractEncoder, Array]:
    """The encoder behind the functions in front of it, and what it gets of the data."""
    scale, inner = split_scale(layer)
    if scale is not None:
        return encoder_and_input(inner, over_data(scale, inner, xs))
    if isinstance(inner, Preprocessed):
        return encoder_and_input(inner.encoder, jax.vmap(inner.preprocess)(xs))
    assert isinstance(inner, AbstractEncoder)
    return inner, xs


def folded(keys: Any, i: int) -> Any:
    """A key for each sample and for layer `i`."""
    return None if keys is None else jax.vmap(lambda key: jr.fold_in(key, i))(keys)


@eqx.filter_jit
def run_on(layer: AbstractLayer, xs: Array, keys: Any) -> Array:
    """The layer on each of the samples; `keys` has a key for each, or is `None`."""
    return jax.vmap(lambda x, key: layer(x, key=key))(xs, keys)


@eqx.filter_jit
def run_all(layers: tuple[AbstractLayer, ...], xs: Array, keys: Any) -> Array:
    """Layers in sequence, on each of the samples."""
    for i, layer in enumerate(layers):
        xs = run_on(layer, xs, folded(keys, i))
    return xs
