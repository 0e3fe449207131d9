"""One encoder, calibrated for each rate and measured on other data."""

import inspect
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ._bisect import Options, RateNotReachedError
from ._calibrate import calibrate
from ._calibrate_encoder import calibrate_encoder
from ._comparison import EncoderResult
from ._layer import AbstractLayer, AbstractTimed
from ._linear import Classifier, Decoder, Window, binned, snr
from ._network import Network
from ._walk import (
    behind_functions,
    has_fixed_count,
    over_data,
    run_all,
    run_on,
    split_scale,
    steps_and_encoder,
)
from .information import spike_bits

_TIMED = 3  # calls; the median counts
_CALIBRATED_ON = 500  # samples at most, which are enough for a rate


class Parts(NamedTuple):
    """What is fitted on, and what is measured."""

    train: Array
    test: Array
    train_labels: Any
    test_labels: Any


class Shared(NamedTuple):
    """What is the same for all encoders."""

    parts: Parts
    rates: list[float]
    key: PRNGKeyArray
    dt: float
    tolerance: float
    window: Window
    bins: tuple[int, ...]


def measure(
    name: str, encoder: AbstractLayer, shared: Shared, advance: Callable
) -> tuple[list[EncoderResult], list[str]]:
    """A result for each rate that the encoder reaches, and a note on those that it does not.

    If it reaches none, or its number of spikes is fixed, one result of the encoder as it is.
    """
    front, inner = steps_and_encoder(encoder)
    train = shared.parts.train
    outputs = _outputs_of_each(encoder, inner, train)
    shown = run_all(front, train[:: -(-len(train) // _CALIBRATED_ON)], None)

    def measured(calibrated: AbstractLayer, rate: float | None) -> EncoderResult:
        whole = Network([*front, calibrated]) if front else calibrated
        return _measured(name, whole, rate, shared)

    found: list[EncoderResult] = []
    refused: dict[str, list[str]] = {}
    # `PulseWidthEncoder` has a period that can be any; a window of values is the user's
    own = has_fixed_count(inner) and inner.seq_length is not None
    for rate in [] if own else shared.rates:
        advance(f"{name}, {rate:g} Hz", 0)
        try:
            found.append(measured(_calibrated(inner, shown, rate / outputs, shared), rate))
        except RateNotReachedError as error:
            refused.setdefault(error.reached, []).append(f"{rate:g}")
        advance(name)
    if not found:
        found = [measured(calibrate_encoder(inner, shown, None, None, Options()), None)]
    if own:
        advance(name, len(shared.rates))
    among = f", divided among {outputs} outputs" if outputs > 1 else ""
    notes = [
        f"{name} does not spend {', '.join(missed)} Hz{among}: {reached}."
        for reached, missed in refused.items()
    ]
    return found, notes


def _outputs_of_each(encoder: AbstractLayer, inner: AbstractLayer, xs: Array) -> int:
    """How many outputs there are for each input."""
    shape = xs.shape[_axes_of_samples(encoder) :]
    out = jax.eval_shape(lambda x, key: encoder(x, key=key), xs[0], jr.key(0))
    if out.shape[1 : 1 + len(shape)] != shape:
        raise ValueError(
            f"`encoders` must have outputs for each input, got {out.shape[1:]} for {shape} "
            f"from `{type(behind_functions(inner)).__name__}`."
        )
    return math.prod(out.shape[1:]) // math.prod(shape)


def _axes_of_samples(encoder: AbstractLayer) -> int:
    """Samples, and for signals time."""
    return 1 if encoder.seq_length is not None else 2


def _calibrated(
    encoder: AbstractLayer, xs: Array, rate: float, shared: Shared
) -> AbstractLayer:
    layer: Any = encoder
    dt = None if isinstance(behind_functions(encoder), AbstractTimed) else shared.dt
    return calibrate(layer, xs, rate=rate, dt=dt, tolerance=shared.tolerance, key=shared.key)


def _measured(
    name: str, encoder: AbstractLayer, rate: float | None, shared: Shared
) -> EncoderResult:
    parts = shared.parts
    train_key, test_key = jr.split(shared.key)
    inputs = math.prod(parts.train.shape[_axes_of_samples(encoder) :])
    trains = _trains(encoder, parts.train, train_key, inputs)
    measured, seconds = _timed(encoder, parts.test, test_key, inputs)
    values = encoder.seq_length is not None
    # of each input: a value, or a second of a signal
    units = len(measured) * inputs * (1 if values else measured.shape[1] * shared.dt)
    decoder = Decoder.fit(trains, _signals(parts.train, values), shared.window)
    signals = _signals(parts.test, values)
    reached = None
    if parts.train_labels is not None:
        counts = [binned(z, shared.bins) for z in (trains, measured)]
        reached = accuracy(*counts, parts=parts)
    return EncoderResult(
        name,
        encoder,
        rate,
        spikes=float((measured != 0).sum() / units),
        bits=spike_bits(measured) * len(measured) / units,
        own_snr=_own_snr(encoder, measured, parts.test),
        linear_snr=snr(signals, decoder.decode(measured)),
        accuracy=reached,
        seconds=seconds,
    )


def _trains(encoder: AbstractLayer, xs: Array, key: PRNGKeyArray, inputs: int) -> np.ndarray:
    """The spikes, of shape `"samples time features channels"`."""
    spikes = np.asarray(run_on(encoder, xs, jr.split(key, len(xs))), np.float64)
    return spikes.reshape(*spikes.shape[:2], inputs, -1)


def _timed(encoder: AbstractLayer, xs: Array, key: PRNGKeyArray, inputs: int):
    trains = _trains(encoder, xs, key, inputs)  # compiles
    keys, seconds = jr.split(key, len(xs)), []
    for _ in range(_TIMED):
        start = time.perf_counter()
        jax.block_until_ready(run_on(encoder, xs, keys))
        seconds.append(time.perf_counter() - start)
    return trains, float(np.median(seconds))


def _signals(xs: Array, values: bool) -> np.ndarray:
    """The data, of shape `"samples time features"`; values have one step."""
    signals = np.asarray(xs, np.float64)
    return signals.reshape(len(signals), 1 if values else signals.shape[1], -1)


def accuracy(train: np.ndarray, test: np.ndarray, *, parts: Parts) -> float:
    train, test = (x.reshape(len(x), -1) for x in (train, test))
    return Classifier.fit(train, parts.train_labels).accuracy(test, parts.test_labels)


def _own_snr(encoder: AbstractLayer, trains: np.ndarray, xs: Array) -> float | None:
    """Of the encoder's own `decode`, with the true first sample where it takes one."""
    scale, inner = split_scale(encoder)
    decode = getattr(inner, "decode", None)
    if decode is None or "bandwidth" in inspect.signature(decode).parameters:
        return None
    scaled = xs if scale is None else over_data(scale, inner, xs)
    shape = xs.shape if trains.shape[-1] == 1 else (*xs.shape, trains.shape[-1])
    spikes = jnp.asarray(trains, xs.dtype).reshape(shape)
    if "start" in inspect.signature(decode).parameters:
        decoded = jax.vmap(decode)(spikes, scaled[:, 0])
    else:
        decoded = jax.vmap(decode)(spikes)
    return snr(_signals(scaled, False), _signals(decoded, False))
